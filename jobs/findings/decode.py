"""Step 2: messages to frames, a batch of messages a call."""

from __future__ import annotations

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction, UserDefinedScalarFunctionWrapper, udf

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


class DecodeMessages(ScalarFunction):  # type: ignore[misc]
    """Frames of messages, as texts of seven fields: kind, shard, window, messages, points, reason, body.

    With [privacy] encrypting dead letters, a frame that may become one has its message's key and value as two more.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def open(self, context: FunctionContext) -> None:
        prepare_worker()
        window = self.config.window
        catalogue = load_catalogue(self.config.catalogue_files)
        self.sampler = Sampler(catalogue, window.shards, window.size_ms, window.max_skew_ms)
        self.promises = Promises(self.config)
        self.decoders: dict[str, Decoder | None] = {}
        privacy = self.config.privacy
        self.redactor = None if privacy is None else Redactor(privacy)
        self.sealer = None if privacy is None or privacy.dead_letters == "drop" else Sealer(privacy)

    def eval(
        self,
        k: pd.Series,
        v: pd.Series,
        topic: pd.Series,
        partition: pd.Series,
        offset: pd.Series,
        ts: pd.Series,
        passed_ms: pd.Series | None = None,
    ) -> pd.Series:
        """A list of frames a message, for a batch of messages (columns of equal length; ts are UTC times).

        `passed_ms` is the event time that was promised before a message; None where that is not known beforehand.
        """
        collect_batch()
        times = ts.astype("datetime64[ms, UTC]").astype("int64")
        messages = [
            Message(*parts)
            for parts in zip(
                topic, partition.tolist(), offset.tolist(), times.tolist(), k.tolist(), v.tolist(), strict=True
            )
        ]
        limits_ms = self.promises.hear(messages) if passed_ms is None else passed_ms.tolist()
        frames = self.frames(messages, limits_ms)
        texts = [[as_text(f) for f in some] for some in frames]
        if self.sealer is not None:
            for message, some, found in zip(messages, frames, texts, strict=True):
                self.seal(message, some, found)
        return pd.Series(texts, dtype=object)

    def seal(self, message: Message, frames: list[Frame], texts: list[str]) -> None:
        """Adds a message's key and value to the texts of those of its frames that may become dead letters."""
        places = [place for place, frame in enumerate(frames) if frame.kind in ("dead", "refused", "unsure")]
        if places and self.sealer is not None:
            sealed = f"{SEPARATOR}{self.sealer.seal(message.key)}{SEPARATOR}{self.sealer.seal(message.value)}"
            for place in places:
                texts[place] += sealed

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


def decode_messages(config: Config) -> UserDefinedScalarFunctionWrapper:
    """The function as SQL calls it."""
    return udf(DecodeMessages(config), result_type=DataTypes.ARRAY(DataTypes.STRING()), func_type="pandas")
