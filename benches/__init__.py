"""deltawire beside its floors and its peers.

What is measured, and the rules that each measurement keeps:

- A stream carries its expected answer (`bodies`, `shapes`), and whatever is timed is held against it first.
- A peer is one function from chunks to the last thing it read (`peers`, `json_peers`), with a loop of its
  own: CPython specialises a loop for the types it meets, so sharing one slows whoever comes second.
- A parser is made for each stream inside the timed function, and closed there, as a gateway does it.
- Only what was timed in turns in one run may be compared (`paired`): machines change their pace.

`make bench` times all of it with pytest-benchmark; `python -m benches.targets` tells the ratios in a few
seconds.
"""
