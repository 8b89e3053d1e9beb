"""What SQLAlchemy is about to send."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Sending:
    """A text for a cursor of psycopg, with its parameters, or with `many` of them."""

    cursor: Any
    text: str
    parameters: Any
    many: bool = False

    @property
    def connection(self) -> Any:
        """The cursor's."""
        return self.cursor.connection

    def send(self) -> None:
        """Execute it. Raises what psycopg raises."""
        if self.many:
            self.cursor.executemany(self.text, self.parameters)
        else:
            self.cursor.execute(self.text, self.parameters)

    def again(self) -> None:
        """The same on a cursor of its own: the first one's result is somebody's."""
        replace(self, cursor=self.connection.cursor()).send()

    def part(self, text: str) -> "Sending":
        """The same with another text."""
        return replace(self, text=text)

    def parts(self, most: int) -> "list[Sending]":
        """The same with at most so many of its many parameters in each."""
        if not self.many or len(self.parameters) <= most:
            return [self]
        return [
            replace(self, parameters=self.parameters[first : first + most])
            for first in range(0, len(self.parameters), most)
        ]
