"""Step 2: messages to frames, a batch of messages a call."""

from __future__ import annotations

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction, UserDefinedScalarFunctionWrapper, udf

from afoot.captures import unpacked
from afoot.catalogue.loader import load_catalogue
from afoot.config import Config
from afoot.errors import DecodeError
from afoot.privacy.rows import Redactor
from afoot.privacy.seal import Sealer
from afoot.signals.frames import Frame
from afoot.signals.sampling import Sampler
from afoot.telemetry.formats import Decoder, decoder
from afoot.telemetry.rows import Decoded, Message
from jobs.findings.promises import Promises
from jobs.findings.render import SEPARATOR
from jobs.findings.worker import collect_batch, prepare_worker

# Key and value of a message are there where a dead letter may come of it, encrypted or dropped as [privacy] says.
RESULT = DataTypes.ROW(
    [
        DataTypes.FIELD("k", DataTypes.BYTES()),
        DataTypes.FIELD("v", DataTypes.BYTES()),
        DataTypes.FIELD("frames", DataTypes.ARRAY(DataTypes.STRING())),
    ]
)
_MAY_DIE = {"dead", "refused", "unsure"}  # kinds of frames


class DecodeMessages(ScalarFunction):  # type: ignore[misc]
    """Frames of messages, as texts of seven fields: kind, shard, window, messages, points, reason, body."""

    def __init__(self, config: Config, captured: bool) -> None:
        self.config = config
        self.captured = captured

    def open(self, context: FunctionContext) -> None:
        prepare_worker()
        window = self.config.window
        catalogue = load_catalogue(self.config.catalogue_files)
        self.sampler = Sampler(catalogue, window.shards, window.size_ms, window.max_skew_ms)
        self.promises = Promises(self.config)
        self.decoders: dict[str, Decoder | None] = {}
        privacy = self.config.privacy
        self.redactor = None if privacy is None else Redactor(privacy)
        self.sealer = None if privacy is None else Sealer(privacy)

    def eval(
        self,
        k: pd.Series,
        v: pd.Series,
        topic: pd.Series,
        partition: pd.Series,
        offset: pd.Series,
        ts: pd.Series,
        passed_ms: pd.Series | None = None,
    ) -> pd.DataFrame:
        """A row of RESULT a message, for a batch of messages (columns of equal length; ts are UTC times).

        `passed_ms` is the event time that was promised before a message; None where that is not known beforehand.
        """
        collect_batch()
        times = ts.astype("datetime64[ms, UTC]").astype("int64")
        values = map(unpacked, v) if self.captured else v.tolist()
        messages = [
            Message(*parts)
            for parts in zip(
                topic, partition.tolist(), offset.tolist(), times.tolist(), k.tolist(), values, strict=True
            )
        ]
        limits_ms = self.promises.hear(messages) if passed_ms is None else passed_ms.tolist()
        frames = self.frames(messages, limits_ms)
        kept = [
            self.kept(message) if any(frame.kind in _MAY_DIE for frame in some) else (None, None)
            for message, some in zip(messages, frames, strict=True)
        ]
        columns = {
            "k": [k for k, _ in kept],
            "v": [v for _, v in kept],
            "frames": [[as_text(frame) for frame in some] for some in frames],
        }
        return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})

    def kept(self, message: Message) -> tuple[bytes | None, bytes | None]:
        """Key and value as dead letters have them."""
        if self.sealer is None:
            return message.key, message.value
        return self.sealer.seal(message.key), self.sealer.seal(message.value)

    def frames(self, messages: list[Message], passed_ms: list[float]) -> list[list[Frame]]:
        """The frames of each message, in order; `passed_ms` as Sampler.batch takes it."""
        dead: dict[int, list[Frame]] = {}
        pairs: list[tuple[Message, Decoded]] = []
        decode = self.decode
        for number, message in enumerate(messages):
            try:
                pairs.append((message, decode(message)))
            except DecodeError as error:
                dead[number] = [self.sampler.dead(message, str(error))]
        limits_ms = [limit for number, limit in enumerate(passed_ms) if number not in dead] if dead else passed_ms
        sampled = self.sampler.batch(pairs, limits_ms)
        if not dead:
            return sampled
        rest = iter(sampled)
        return [dead[number] if number in dead else next(rest) for number in range(len(messages))]

    def decode(self, message: Message) -> Decoded:
        """The rows of a message, by the format that its topic is configured with."""
        topic = message.topic
        if topic not in self.decoders:
            entry = self.config.topic_of(topic)
            found = decoder(entry.format, entry.kind, entry.options) if entry else None
            self.decoders[topic] = found if found is None or self.redactor is None else self.redactor.decoder(found)
        decode = self.decoders[topic]
        if decode is None:
            raise DecodeError(f"topic {topic} is not configured: no [[topic]] says what its messages are")
        return decode(message)


def as_text(frame: Frame) -> str:
    """A frame as it crosses to the JVM."""
    reason = "".join(c if c >= " " else " " for c in frame.reason)
    return SEPARATOR.join(
        (
            frame.kind,
            str(frame.shard),
            str(frame.window_ms),
            str(frame.messages),
            str(frame.points),
            reason,
            frame.body,
        )
    )


def decode_messages(config: Config, captured: bool) -> UserDefinedScalarFunctionWrapper:
    """The function as SQL calls it, for topics or what was prepared of a capture."""
    return udf(DecodeMessages(config, captured), result_type=RESULT, func_type="pandas")
