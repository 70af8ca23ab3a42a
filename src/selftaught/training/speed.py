"""How fast training was, without what is done between steps."""

from __future__ import annotations


class Speed:
    """Samples a second of the training steps alone, without looks at held-out data and checkpoints."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._steps: list[tuple[float, float]] = []
        self._written = 0

    def add(self, data_seconds: float, seconds: float) -> None:
        """One step: seconds it waited for data, seconds in all."""
        self._steps.append((data_seconds, seconds))

    def row(self) -> dict[str, float]:
        """Figures of the steps since the last row."""
        steps, self._written = self._steps[self._written :], len(self._steps)
        seconds = sum(s for _, s in steps)
        rate = len(steps) * self.batch_size / seconds
        return {"seconds": seconds, "images_per_second": rate, "data_seconds": sum(d for d, _ in steps)}

    def recent(self) -> float:
        """Median of the last 20 steps."""
        times = sorted(s for _, s in self._steps[-20:])
        return self.batch_size / times[len(times) // 2]

    def overall(self) -> float:
        """Mean over all steps but the first three, which warm up."""
        times = [s for _, s in (self._steps[3:] or self._steps)]
        return len(times) * self.batch_size / sum(times) if times else 0.0
