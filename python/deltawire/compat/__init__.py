"""Drop-ins: deltawire in the place of the decoders that programs use today, by changing an import or a line.

`httpx_sse` has the public API of httpx-sse; `openai` brings the decoder for the clients of OpenAI and
Anthropic; `litellm` assembles LiteLLM's response. Each imports its peer by itself, nothing here does. What is
the same and what differs is told in docs/compat.md.
"""
