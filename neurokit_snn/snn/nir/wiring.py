"""Who leads to whom in a graph of NIR, flat and without cycles."""

from __future__ import annotations

from typing import Any, NamedTuple

from neurokit_snn.errors import ModelError

__all__ = ["DelayBranches", "Wiring"]


class DelayBranches(NamedTuple):
    """Delays that one node leads to, each with the weights behind it, if there are any, and that meet again."""

    delays: list[tuple[str, Any]]
    weights: list[Any]


class Wiring:
    """Nodes and edges of a graph whose parts have been put in their places and whose cycles have been taken out.

    Attributes
    ----------
    nodes
        By name; delays and the weights behind them are one `DelayBranches`.
    edges
        Pairs of names, none twice.
    back
        By the name of neurons that hear themselves, the name and node of the Linear layer on that way.
    input, output
        Names.
    """

    def __init__(self, nodes: dict[str, Any], edges: list[tuple[str, str]]) -> None:
        self.nodes, self.edges = nodes, list(dict.fromkeys(edges))
        for start, end in self.edges:
            for name in (start, end):
                if name not in nodes:
                    raise ModelError(f"NIR edge {start!r} -> {end!r}: there is no node {name!r}")
        self.back: dict[str, tuple[str, Any]] = {}
        self.input = self._only("Input")
        self.output = self._only("Output")
        self._open_cycles()
        for name in self._in_order():
            if name in self.nodes:
                self._join_delays(name)

    @classmethod
    def of(cls, graph: Any) -> Wiring:
        """The wiring of a graph; graphs inside it are opened."""
        nodes, edges = dict(graph.nodes), [tuple(edge) for edge in graph.edges]
        while inner := [name for name, node in nodes.items() if type(node).__name__ == "NIRGraph"]:
            name = inner[0]
            part = nodes.pop(name)
            ports = {"Input": "", "Output": ""}
            for key, node in part.nodes.items():
                kind = type(node).__name__
                if kind in ports:
                    if ports[kind]:
                        raise ModelError(
                            f"NIR node {name!r} is a graph with several of {kind}; supported is one"
                        )
                    ports[kind] = f"{name}/{key}"
                nodes[f"{name}/{key}"] = node
            if not all(ports.values()):
                raise ModelError(f"NIR node {name!r} is a graph without an input or an output")
            edges += [(f"{name}/{a}", f"{name}/{b}") for a, b in part.edges]
            edges = [
                (ports["Output"] if a == name else a, ports["Input"] if b == name else b) for a, b in edges
            ]
            for port in ports.values():
                edges = _through(edges, port)
                del nodes[port]
        return cls(nodes, edges)

    def following(self, name: str) -> list[str]:
        """Nodes that a node leads to."""
        return [end for start, end in self.edges if start == name]

    def leading(self, name: str) -> list[str]:
        """Nodes that lead to a node."""
        return [start for start, end in self.edges if end == name]

    def alone(self, name: str) -> None:
        """Refuse a node that several lead to, where one is expected."""
        leading = self.leading(name)
        if len(leading) > 1:
            raise ModelError(
                f"NIR node {name!r} is led to by {', '.join(leading)}, which are not two paths from one node; this is not "
                "supported"
            )

    def meeting(self, start: str) -> str:
        """The first node that all paths from a node lead through."""
        order = self._in_order()
        through: dict[str, set[str]] = {}
        for name in reversed(order):
            following = self.following(name)
            later = set.intersection(*(through[end] for end in following)) if following else set()
            through[name] = later | {name}
        shared = through[start] - {start}
        if not shared:
            raise ModelError(
                f"NIR node {start!r}: the paths that begin there do not meet; a graph has one output"
            )
        return min(shared, key=order.index)

    def _only(self, kind: str) -> str:
        found = [name for name, node in self.nodes.items() if type(node).__name__ == kind]
        if len(found) != 1:
            raise ModelError(f"NIR graph: {len(found)} nodes of {kind}; supported is one")
        return found[0]

    def _open_cycles(self) -> None:
        """Take out Linear layers that lead from neurons back to the same."""
        for name in [
            name for name, node in self.nodes.items() if type(node).__name__ in ("Affine", "Linear")
        ]:
            before, after = self.leading(name), self.following(name)
            if before == after and len(before) == 1 and before[0] not in self.back:
                self.back[before[0]] = name, self.nodes.pop(name)
                self.edges = [edge for edge in self.edges if name not in edge]
        self._in_order()

    def _join_delays(self, start: str) -> None:
        """Make one node of all branches of delays that begin at a node and meet in the same ones."""
        groups: dict[tuple[str, ...], list[tuple[str, str | None]]] = {}
        for delay in self.following(start):
            if type(self.nodes[delay]).__name__ != "Delay":
                continue
            self.alone(delay)
            behind = self.following(delay)
            weight = behind[0] if len(behind) == 1 and self._is_branch(behind[0]) else None
            ends = tuple(sorted(self.following(weight) if weight else behind))
            groups.setdefault((*ends, "" if weight else delay), []).append((delay, weight))
        for ends, branches in groups.items():
            gone = {name for branch in branches for name in branch if name}
            joined = DelayBranches(
                [(delay, self.nodes[delay]) for delay, _ in branches],
                [self.nodes[weight] if weight else None for _, weight in branches],
            )
            name = branches[0][0]
            self.nodes = {key: node for key, node in self.nodes.items() if key not in gone} | {name: joined}
            self.edges = [edge for edge in self.edges if not gone & set(edge)]
            self.edges += [(start, name), *((name, end) for end in ends[:-1])]

    def _is_branch(self, name: str) -> bool:
        return type(self.nodes[name]).__name__ in ("Affine", "Linear") and len(self.leading(name)) == 1

    def _in_order(self) -> list[str]:
        """Names, each after all that lead to it."""
        order: list[str] = []
        waiting = {name: set(self.leading(name)) for name in self.nodes}
        while waiting:
            ready = [name for name, before in waiting.items() if not before]
            if not ready:
                names = ", ".join(sorted(waiting))
                raise ModelError(
                    f"NIR nodes {names}: a cycle that is not neurons with one Linear; this is not supported"
                )
            order += ready
            for name in ready:
                del waiting[name]
            for before in waiting.values():
                before.difference_update(ready)
        return order


def _through(edges: list[tuple[str, str]], port: str) -> list[tuple[str, str]]:
    """Edges with a node left out, those before it joined to those behind it."""
    before = [a for a, b in edges if b == port]
    behind = [b for a, b in edges if a == port]
    return [edge for edge in edges if port not in edge] + [(a, b) for a in before for b in behind]
