"""A task that makes one call for any number of hosts.

Fabric runs a task's body once per host, one after the other, and its post tasks once. So a body
that Fabric runs for a host only notes the host, and a hidden post task does the work.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from fabric import Connection, Task
from invoke import Executor

from stillgate.options import OPTIONS

# A letter is the same flag in every task. Flags that overrule a check have no letter.
SHORT = {"run": "c", **{one.word: one.fabric_letter for one in OPTIONS if one.fabric_letter}}


class Told:
    """What a call gets from Fabric: its configuration, and hosts if there are any."""

    def __init__(self, context: Any) -> None:
        self.config = context.config
        given = self.config.get("stillgate")
        # A copy: the settings of a collection count for its own tasks, not for post tasks.
        self.given = dict(given) if isinstance(given, Mapping) else given
        prefix = f"{self.config.env_prefix or self.config.prefix}_stillgate_".upper()
        self.environment = {key: os.environ[key] for key in os.environ if key.startswith(prefix)}
        self.connections: List[Connection] = []
        if isinstance(context, Connection):
            self.connections.append(context)


class VerbTask(Task):  # type: ignore[misc]
    """`body` gets Fabric's context, or a Told if Fabric gave hosts."""

    def __init__(self, body: Callable[..., Any], **options: Any) -> None:
        super().__init__(body, **options)
        self._gathered: Optional[Told] = None
        self._call: Callable[[Told], Any] = self.body
        self._executor: Optional[Executor] = None

    # Made when it is asked for, because collections copy their tasks.
    @property
    def post(self) -> Sequence[Any]:
        def at_all_hosts(c: Any) -> None:
            self._commit()

        return (Task(at_all_hosts, name=f"{self.name}-at-all-hosts"), *self._post)

    @post.setter
    def post(self, others: Sequence[Any]) -> None:
        self._post = others

    def __call__(self, c: Any, *args: Any, **arguments: Any) -> Any:
        executor = _executor_of(sys._getframe(1))
        if executor is None or not isinstance(c, Connection):
            return super().__call__(c, *args, **arguments)
        told = Told(c)
        if self._gathered is None or self._executor is not executor:
            self._gathered, self._executor = told, executor
        else:
            self._gathered.connections += told.connections
        self._call = lambda gathered: self.body(gathered, *args, **arguments)
        return None

    def _commit(self) -> None:
        gathered, self._gathered, self._executor = self._gathered, None, None
        if gathered is not None:
            self._call(gathered)

    def arg_opts(self, name: str, default: Any, taken_names: Any) -> Dict[str, Any]:
        options: Dict[str, Any] = super().arg_opts(name, default, taken_names)
        long = options["names"][0]
        options["names"] = [long, *([SHORT[long]] if long in SHORT else [])]
        return options


def _executor_of(caller: FrameType) -> Optional[Executor]:
    """Fabric's executor, if it is the caller: it then runs the post task, too. A user's task that
    calls this one needs the result at once.
    """
    runner = caller.f_locals.get("self")
    return runner if isinstance(runner, Executor) else None
