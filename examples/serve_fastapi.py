"""An endpoint in FastAPI that answers a web page with events of its own, made of a provider's chunks.

    python examples/serve_fastapi.py http://127.0.0.1:8000/v1 8080

serves POST /ask on port 8080 and asks the provider at the URL. The page gets `text` events as the words come,
a `call` event for each tool call, and at the end `done` or `error`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from deltawire import ChatStream, DeltawireError, encode_comment, encode_event


class Question(BaseModel):
    question: str


async def ask(question: Question, request: Request) -> StreamingResponse:
    return StreamingResponse(answer(question, request.state.client), media_type="text/event-stream")


async def answer(question: Question, client: httpx2.AsyncClient) -> AsyncIterator[bytes]:
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": question.question}],
        "stream": True,
    }
    # The page sees that it is connected before the provider says anything.
    yield encode_comment("connected")
    try:
        async with (
            client.stream("POST", "chat/completions", json=body) as upstream,
            ChatStream(upstream) as stream,
        ):
            async for text in stream.text_deltas():
                yield encode_event({"text": text}, event="text")
            for call in stream.finished_tool_calls():
                yield encode_event(call, event="call")
            yield encode_event({"usage": stream.usage}, event="done")
    except (DeltawireError, httpx2.TransportError) as error:
        yield encode_event({"error": type(error).__name__}, event="error")


def create_app(url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with httpx2.AsyncClient(base_url=url, timeout=httpx2.Timeout(10.0, read=120.0)) as client:
            yield {"client": client}

    app = FastAPI(lifespan=lifespan)
    app.post("/ask")(ask)
    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]))
