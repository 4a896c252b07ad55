"""deltawire beside its floors and its peers.

What is measured, and the rules that each measurement keeps:

- A stream carries its expected answer (`bodies`, `chats`, `chat_shapes`, `shapes`), and whatever is timed is
  held against it first.
- A peer is one function from chunks to what it read (`peers`, `json_peers`, `chunk_peers`, `message_peers`,
  `async_peers`, `http_peers`), with a loop of its own: CPython specialises a loop for the types it meets, so
  sharing one slows whoever comes second.
- A parser is made for each stream inside the timed function, and closed there, as a gateway does it.
- Only what was timed in turns in one run may be judged (`paired`): machines change their pace.

The catalogue of what is done on which streams, and in which ways, is `works`.

| command | what it tells | time |
| --- | --- | --- |
| `make targets` | which targets of speed are reached (`targets`) | 3 minutes |
| `make bench` | all works on all shapes, with pytest-benchmark | 5 minutes |
| `make load` | what a gateway costs, by what it does to the bytes (`load`) | 4 minutes |
| `make bench-report` | all of these, growth, memory and fairness, as docs/benchmarks.md | 14 minutes |
| `make counts` | instructions of the core, held to a baseline (`counts`) | 1 minute |
"""
