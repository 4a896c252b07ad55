"""A chat endpoint in Starlette that passes a provider's stream on, chunk by chunk.

    python examples/serve_starlette.py http://127.0.0.1:8000/v1 8080

serves POST /v1/chat/completions on port 8080 and asks the provider at the URL. An error before the first
chunk is an HTTP status; one after it is an event of the stream, which ends with [DONE] in either case. When
the client goes away, the request to the provider is closed too.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deltawire import ChatStream, DeltawireError, UpstreamError, encode_error, encode_event
from deltawire.encoding import error_body

# Nobody on the way is to keep or to collect the stream; the second is nginx's.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def chat_completions(request: Request) -> Response:
    client: httpx2.AsyncClient = request.state.client
    body = {**await request.json(), "stream": True}
    try:
        async with AsyncExitStack() as stack:
            upstream = client.stream("POST", "chat/completions", json=body)
            stream = ChatStream(await stack.enter_async_context(upstream))
            await stack.enter_async_context(stream)
            await stream.prefetch()  # takes nothing, but raises what the first event says
            # Both stay open for the response, which closes them.
            content = send(stream, stack.pop_all())
    except UpstreamError as error:
        # An error inside a stream has no status of its own; the stream had 200.
        status = error.status if error.status not in (None, 200) else 502
        return JSONResponse(error_body(error), status_code=status)
    except (DeltawireError, httpx2.TransportError) as error:
        return JSONResponse(error_body(error), status_code=502)
    return StreamingResponse(content, media_type="text/event-stream", headers=HEADERS)


async def send(stream: ChatStream, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        try:
            async for chunk in stream:
                # The error is told at the end, in the shape that clients know.
                if not getattr(chunk, "error", None):
                    yield encode_event(chunk)
        except (DeltawireError, httpx2.TransportError) as error:
            yield encode_error(error)
        yield encode_event("[DONE]")


def create_app(url: str) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, httpx2.AsyncClient]]:
        async with httpx2.AsyncClient(base_url=url, timeout=httpx2.Timeout(10.0, read=120.0)) as client:
            yield {"client": client}

    return Starlette(
        routes=[Route("/v1/chat/completions", chat_completions, methods=["POST"])], lifespan=lifespan
    )


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]))
