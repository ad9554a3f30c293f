"""The layer: weights and delays between two populations."""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor, nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn.delays.gather import gather
from neurokit_snn.snn.delays.kernel import Shape, delay_kernel
from neurokit_snn.snn.delays.spectral import convolve
from neurokit_snn.snn.stateful import Stateful

__all__ = ["Delays"]


class Delays(Stateful):
    """Weights with a delay on every synapse, learned with them (Hammouamri et al., ICLR 2024, arXiv:2306.17670).

    In training a synapse reads its source through a bump around its delay (`delay_kernel`), whose width comes down while `at` is
    told of the progress. In evaluation, and wherever delays are not learned, they are whole numbers of steps and every synapse
    reads one step: no kernel is built, and that is several times as fast. `soft_delays` evaluates with the bumps.

    Parameters
    ----------
    in_features, out_features
        Numbers of sources and of targets.
    window
        K, the number of delays: from 0 to ``window - 1`` steps; odd.
    kernel_count
        Synapses of a pair of units, each with its own weight and delay.
    shape
        Of the bump: ``"gauss"`` or ``"triangle"``.
    sigma
        SIG at the beginning, steps; half the window by default.
    final_sigma
        SIG at the end of the annealing; give it for `sigma` as well to keep it constant.
    annealed
        Share of the training over which SIG falls exponentially.
    synapses
        Sources of each target, drawn at random and fixed; None for all. Parameters are of size ``out_features * synapses``.
    tail
        Whether half a window of silence follows the input, so that what comes late still arrives: the output is
        ``(window - 1) // 2`` steps longer. A call is then a whole trial.
    learned
        Whether delays are learned; else they are drawn, rounded and kept.

    Attributes
    ----------
    weight
        ``(kernel, target, source)``, or ``(kernel, target, synapse)``; drawn as by ``kaiming_uniform_``, without bias.
    position
        Of the same shape: ``(window - 1) / 2 - delay``, as published; drawn evenly over the window. It is to learn about 100
        times as fast as weights do: ``rates={"*.position": 100.0}``.
    source
        ``(target, synapse)``: which sources a target has.
    sigma
        SIG now; a buffer, so that it comes back with the weights it belongs to.
    learned
        Whether delays are learned; where they are not, they are whole numbers.
    soft_in_evaluation
        Whether an evaluation reads through the bumps as well; `soft_delays` sets it for a while.

    Raises
    ------
    ConfigError
        When a field is out of range, naming it.

    Examples
    --------
    >>> layer = Delays(1, 1, window=5, learned=False)
    >>> layer.set_delays(torch.tensor([[[3.0]]]))
    >>> y, _ = layer(torch.tensor([1.0, 0.0, 0.0, 0.0]).view(4, 1, 1))
    >>> (y / layer.weight).flatten().tolist()
    [0.0, 0.0, 0.0, 1.0]
    """

    needs_sequence = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        window: int,
        kernel_count: int = 1,
        shape: Shape = "gauss",
        sigma: float | None = None,
        final_sigma: float = 0.23,
        annealed: float = 0.25,
        synapses: int | None = None,
        tail: bool = False,
        learned: bool = True,
    ) -> None:
        super().__init__()
        self.in_features = _whole("in_features", in_features)
        self.out_features = _whole("out_features", out_features)
        self.window, kernel_count = _whole("window", window), _whole("kernel_count", kernel_count)
        if window % 2 == 0:
            raise ConfigError(f"Delays.window is {window}; give an odd number, {window + 1} or {window - 1}")
        if shape not in get_args(Shape):
            raise ConfigError(f"Delays.shape is {shape!r}; choose gauss or triangle")
        self.first_sigma = _not_below_zero("sigma", max(window // 2, final_sigma) if sigma is None else sigma)
        self.final_sigma = _not_below_zero("final_sigma", final_sigma)
        if not 0.0 <= annealed <= 1.0:
            raise ConfigError(f"Delays.annealed is {annealed}; give a share of the training, from 0 to 1")
        if synapses is not None and _whole("synapses", synapses) > in_features:
            raise ConfigError(
                f"Delays.synapses is {synapses} and there are {in_features} sources; give no more than these"
            )
        self.shape, self.annealed, self.tail = shape, annealed, tail
        fan = in_features if synapses is None else synapses
        size = (kernel_count, out_features, fan)
        bound = math.sqrt(6.0 / (fan * kernel_count))
        self.weight = nn.Parameter(torch.empty(size).uniform_(-bound, bound))
        self.position = nn.Parameter(torch.empty(size).uniform_(-window / 2, window / 2))
        source = (
            torch.rand(out_features, in_features).argsort(1)[:, :fan].sort(1).values if synapses else None
        )
        self.register_buffer("source", source)
        self.register_buffer("sigma", torch.tensor(float(self.first_sigma)))
        self.source: Tensor | None
        self.sigma: Tensor
        self.learned, self.soft_in_evaluation = True, False
        self.at(0.0)
        if not learned:
            self.freeze()

    def extra_repr(self) -> str:
        """Sizes, as a network prints them."""
        synapses = f", synapses={self.weight.shape[-1]}" if self.source is not None else ""
        return (
            f"{self.in_features}, {self.out_features}, window={self.window}, kernel_count={len(self.weight)}{synapses}, "
            f"learned={self.learned}"
        )

    # ---- delays ------------------------------------------------------------------------------------------------

    @property
    def soft(self) -> bool:
        """Whether a call reads through bumps, and not at whole numbers."""
        return self.learned and (self.training or self.soft_in_evaluation)

    @property
    def delays(self) -> Tensor:
        """Delays, steps, ``(kernel, target, source)``; NaN where there is no synapse."""
        found = self._delays().detach()
        if self.source is None:
            return found.clone()
        every = found.new_full((found.shape[0], self.out_features, self.in_features), math.nan)
        return every.scatter(2, self.source.expand(found.shape), found)

    def set_delays(self, delays: Tensor) -> None:
        """Give every synapse its delay.

        Parameters
        ----------
        delays
            Steps ``(kernel, target, source)``; what it says where there is no synapse is not read.

        Raises
        ------
        ModelError
            When the shape is another, or a delay lies outside the window, naming it.
        """
        count = self.position.shape[0]
        wanted = (count, self.out_features, self.in_features)
        if delays.shape != wanted:
            raise ModelError(
                f"Delays: delays have shape {tuple(delays.shape)}; give (kernel, target, source) = {wanted}"
            )
        delays, most = delays.detach().to(self.position), self.window - 1
        target = torch.arange(self.out_features, device=delays.device)[:, None]
        source = (
            torch.arange(self.in_features, device=delays.device)[None] if self.source is None else self.source
        )
        chosen = delays[:, target, source]
        bad = ~((chosen >= 0) & (chosen <= most))
        if bad.any():
            m, o, s = (int(i) for i in bad.nonzero()[0])
            where = (m, o, int(source.expand(self.position.shape[1:])[o, s]))
            raise ModelError(
                f"Delays: the delay of (kernel, target, source) = {where} is {float(chosen[m, o, s]):g} steps and the window "
                f"of {self.window} holds 0 to {most}; make the window longer"
            )
        with torch.no_grad():
            self.position.copy_(self._middle - chosen)
            if not self.learned:
                self.position.round_()

    def freeze(self) -> None:
        """Round the delays and learn them no more: what is trained after this is trained for what is used."""
        with torch.no_grad():
            self.position.clamp_(-self._middle, self._middle).round_()
        self.position.requires_grad_(False)
        self.learned = False

    def at(self, progress: float) -> None:
        """Follow the training: bring delays back into the window and set SIG.

        Parameters
        ----------
        progress
            Share of the training that is done, 0 to 1.
        """
        with torch.no_grad():
            self.position.clamp_(-self._middle, self._middle)
        first, final = self.first_sigma, self.final_sigma
        if progress >= self.annealed or first == final:
            now = final
        elif final == 0.0 or first == 0.0:
            now = first + (final - first) * progress / self.annealed
        else:
            now = first * (final / first) ** (progress / self.annealed)
        self.sigma.fill_(now)

    @property
    def _middle(self) -> int:
        return (self.window - 1) // 2

    def _delays(self) -> Tensor:
        """Of all synapses, in the shape of the parameters; whole where they are not learned."""
        delays = self._middle - self.position.clamp(-self._middle, self._middle)
        return delays if self.learned else delays.round()

    # ---- over time ---------------------------------------------------------------------------------------------

    def forward(
        self, x: Tensor, state: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run over time.

        Parameters
        ----------
        x
            Inputs ``(time, batch, ..., source)``.
        state
            Inputs of the ``window - 1`` steps before, ``(window - 1, batch, ..., source)``; None for silence.
        mask
            ``(time, batch, ...)``, False at steps beyond a trial's end: they are no part of its time, and the output is 0 there.

        Returns
        -------
        outputs
            ``(time, batch, ..., target)``.
        state
            After the last step.

        Raises
        ------
        ModelError
            When rank, dtype or number of sources is wrong, or a value is not finite, naming it.
        """
        self._check(x, state, mask)
        batch = x.shape[1:-1]
        whole = self._with_past(x, state, mask)
        flat = whole.reshape(whole.shape[0], -1, self.in_features)
        with torch.autocast(x.device.type, enabled=False):
            try:
                y = self._sums(flat if x.dtype == torch.float64 else flat.float()).to(x.dtype)
            except ModelError:  # a delay that is not finite reads nowhere
                self._not_finite(x)
                raise
        if mask is not None:
            y = y.masked_fill(~mask.reshape(len(mask), -1, 1), 0.0)
        if not torch.compiler.is_compiling() and not bool(torch.isfinite(y.detach().sum())):
            self._not_finite(x)
        return y.view(y.shape[0], *batch, self.out_features), self._last(whole, mask)

    def _with_past(self, x: Tensor, state: Tensor | None, mask: Tensor | None) -> Tensor:
        """Inputs with those before and with the tail."""
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0.0)
        past = x.new_zeros(self.window - 1, *x.shape[1:]) if state is None else state
        after = [x.new_zeros(self._middle, *x.shape[1:])] if self.tail else []
        return torch.cat([past, x, *after])

    def _last(self, whole: Tensor, mask: Tensor | None) -> Tensor:
        """The last inputs of each trial: what the steps after this call may still hear."""
        if mask is None:
            return whole[whole.shape[0] - self.window + 1 :]
        steps = mask.sum(0)
        at = torch.arange(self.window - 1, device=whole.device).view(-1, *[1] * steps.ndim) + steps
        return whole.gather(0, at[..., None].expand(*at.shape, self.in_features))

    def _sums(self, x: Tensor) -> Tensor:
        """Outputs from inputs ``(window - 1 + time, trial, source)``, of one precision."""
        weight, delays = self.weight.to(x.dtype), self._delays().to(x.dtype)
        if self.soft:
            kernel = (
                delay_kernel(delays, sigma=self.sigma.to(x.dtype), window=self.window, shape=self.shape)
                * weight
            )
            if self.source is None:
                return convolve(x, kernel.sum(1))
            # Every lag of a synapse is a synapse of its own: still far fewer than a dense kernel has.
            lag = torch.arange(self.window, device=x.device).view(-1, 1, 1, 1).expand(kernel.shape)
            return gather(x, *self._by_target(kernel, lag), window=self.window)
        return gather(x, *self._by_target(weight, delays.round().long()), window=self.window)

    def _by_target(self, weight: Tensor, lag: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, lags and sources ``(target, synapse)`` from ``(..., target, synapse)``."""
        source = self.source
        if source is None:
            source = torch.arange(self.in_features, device=weight.device)
        parts = (
            part.movedim(-2, 0).movedim(-1, 1).flatten(1)
            for part in (weight, lag, source.expand(weight.shape))
        )
        weight, lag, source = (part.contiguous() for part in parts)
        return weight, lag, source

    # ---- errors ------------------------------------------------------------------------------------------------

    def _check(self, x: Tensor, state: Tensor | None, mask: Tensor | None) -> None:
        if x.ndim < 3 or x.shape[-1] != self.in_features:
            raise ModelError(
                f"Delays: the input has shape {tuple(x.shape)}; give (time, batch, ..., {self.in_features})"
            )
        if not x.is_floating_point():
            raise ModelError(f"Delays: the input is {x.dtype}; give floating-point numbers")
        past = (self.window - 1, *x.shape[1:])
        if state is not None and (state.shape != past or state.dtype != x.dtype):
            raise ModelError(
                f"Delays: the state is {state.dtype} {tuple(state.shape)}; the input asks for {x.dtype} {past}"
            )
        if mask is None:
            return
        if mask.shape != x.shape[:-1] or mask.dtype != torch.bool:
            raise ModelError(
                f"Delays: mask is {mask.dtype} {tuple(mask.shape)}; give booleans {tuple(x.shape[:-1])}"
            )
        if self.tail:
            raise ModelError(
                "Delays: a mask ends trials and a tail makes them longer; give tail=False and pad the input"
            )
        again = (mask[1:] & ~mask[:-1]).nonzero()
        if len(again):
            where = tuple(int(i) for i in again[0])
            raise ModelError(
                f"Delays: mask is True again at (time, batch, ...) = {(where[0] + 1, *where[1:])} after the trial's end; give "
                "masks that are False from the end on"
            )

    def _not_finite(self, x: Tensor) -> None:
        """Say what is not finite; sums may overflow where nothing is."""
        for name, value in {"input": x, "weight": self.weight, "position": self.position}.items():
            value = value.detach()
            bad = ~torch.isfinite(value)
            if bad.any():
                where = tuple(int(i) for i in bad.nonzero()[0])
                raise ModelError(
                    f"Delays: {name}{list(where)} is {float(value[where])}; look at the data, or lower the learning rate"
                )


def _whole(field: str, value: int) -> int:
    if not (isinstance(value, int) and value >= 1):
        raise ConfigError(f"Delays.{field} is {value!r}; give a whole number, 1 or more")
    return value


def _not_below_zero(field: str, value: float) -> float:
    if not (value >= 0.0 and math.isfinite(value)):
        raise ConfigError(f"Delays.{field} is {value}; give a number of steps, 0 or more")
    return float(value)
