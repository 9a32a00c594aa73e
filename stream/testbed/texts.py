"""The texts of the sample traffic: templates of our own, or a corpus of real messages.

A corpus is NDJSON, plain or gzip, with `text` and `label` on each line: `personal`, or for spam `ad.*`,
`fraud.*`, `illegal.*`. Its texts are used as they stand: personal ones between people, the rest as the body
of advertisements. They are never logged or shown.
"""

import gzip
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from stream.model.registry import Sender

CORPUS_LINES_MAX: Final = 200_000
"""As many as a laptop reads within a second."""
CORPUS_LINE_BYTES_MAX: Final = 64 * 1024
CORPUS_PROBLEMS_SHOWN: Final = 3


class CorpusError(Exception):
    """A corpus that cannot be used: which, why, and the mend."""


class _Line(msgspec.Struct):
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class SampleTexts:
    """The texts of messages. Each of our own templates has one `%d`, so that no two messages need be alike."""

    personal_texts: Sequence[str]
    bodies: Mapping[str, Sequence[str]]
    """category → bodies of advertisements"""
    verbatim: bool = False
    """true for a corpus: nothing is filled in"""

    def personal(self, rng: random.Random) -> str:
        """What people write to each other."""
        return self._filled(rng.choice(self.personal_texts), rng)

    def advertisement(self, rng: random.Random, sender: Sender, category: str) -> str:
        """A body with all that the law wants around it: who sends, where to ask, how to refuse."""
        body = self.body(rng, category)
        return f"【{signature(sender)}】{body}详询{sender.contact}，{rng.choice(_OPT_OUTS)}"

    def without_identity(self, rng: random.Random, category: str) -> str:
        """An advertisement that does not say whose it is."""
        return f"{self.body(rng, category)}{rng.choice(_OPT_OUTS)}"

    def without_opt_out(self, rng: random.Random, sender: Sender, category: str) -> str:
        """An advertisement that does not say how to refuse."""
        return f"【{signature(sender)}】{self.body(rng, category)}详询{sender.contact}"

    def service(self, rng: random.Random, sender: Sender) -> str:
        """A notice about something that the recipient asked for."""
        return f"【{signature(sender)}】{self._ours(rng.choice(_SERVICE), rng)}"

    def body(self, rng: random.Random, category: str) -> str:
        """The body of an advertisement."""
        return self._filled(rng.choice(self.bodies.get(category) or self.bodies["general"]), rng)

    def _filled(self, text: str, rng: random.Random) -> str:
        return text if self.verbatim else self._ours(text, rng)

    @staticmethod
    def _ours(template: str, rng: random.Random) -> str:
        return template % rng.randrange(1_000, 999_999)


def signature(sender: Sender) -> str:
    """How a sender signs: its signature, or its name where it has none."""
    return sender.signatures[0] if sender.signatures else sender.name


def own() -> SampleTexts:
    """Texts of our own."""
    return SampleTexts(_PERSONAL, _BODIES)


def corpus(path: Path) -> SampleTexts:
    """The texts of a corpus file. Raises `CorpusError`."""
    personal: list[str] = []
    bodies: list[str] = []
    decoder = msgspec.json.Decoder(_Line)
    problems: list[str] = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(islice(lines, CORPUS_LINES_MAX), start=1):
                if not line.strip() or len(line) > CORPUS_LINE_BYTES_MAX:
                    continue
                try:
                    message = decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    problems.append(f"line {number}: {error}")
                    continue
                (personal if message.label == "personal" else bodies).append(message.text)
    except (OSError, EOFError) as error:
        raise CorpusError(
            f"{path}: {error}; give NDJSON, plain or gzip, with `text` and `label` on each line"
        ) from error
    if not personal or not bodies:
        found = "; ".join(problems[:CORPUS_PROBLEMS_SHOWN]) or "every line was read"
        raise CorpusError(
            f"{path}: {len(personal)} personal texts and {len(bodies)} others: some of both are needed ({found})"
        )
    return SampleTexts(personal, {"general": bodies}, verbatim=True)


_OPT_OUTS: Final = ("拒收请回复R", "退订回TD", "回T退订", "拒收请回N")

_PERSONAL: Final = (
    "我大概%d秒后到，你先点菜",
    "钥匙放在门口的柜子里了，密码是%d",
    "妈，我到家了，车票一共花了%d分钱",
    "昨天说的书我找到了，在第%d页",
    "周末去爬山吗？上次那座山有%d级台阶",
    "会议改到下午了，房间号%d",
    "谢谢你今天帮忙，改天请你吃面，欠你%d次",
    "孩子的作业写完了，一共%d个字",
    "你猜我今天走了多少步？%d步！",
    "快递帮我收一下，尾号%d",
    "晚上下雨，记得带伞，门牌%d",
    "照片发你邮箱了，编号%d，记得看",
)

_SERVICE: Final = (
    "验证码%d，五分钟内有效，请勿告诉他人。",
    "您的预约已确认，就诊序号%d，请提前二十分钟到达。",
    "您的账户于今日入账，流水尾号%d。",
    "您的包裹已放入柜中，取件码%d。",
    "家长您好，本周五下午召开家长会，座位号%d。",
    "您的话费余额不足，业务编号%d。",
    "您的订单%d已发货，预计三日内送达。",
    "检查报告已出，请凭%d号单到一楼打印。",
)

_BODIES: Final[dict[str, tuple[str, ...]]] = {
    "general": ("新品上市，前%d名有礼，欢迎到店。", "周年庆典，全场满减，活动编号%d。"),
    "finance": (
        "稳健理财新品今日开售，起购%d元，理财有风险。",
        "信用卡账单分期手续费优惠，活动代码%d。",
        "存款利率调整，到网点办理可得%d积分。",
    ),
    "insurance": ("百万医疗险限时投保，保单咨询号%d。", "车险续保享礼，报价编号%d。"),
    "education": ("暑期数学营开班，余位%d席。", "英语口语免费试听一节，课程号%d。"),
    "retail": (
        "会员日全场八折，满额减%d分。",
        "新鲜水果到店，券码%d当日有效。",
        "沙发床垫以旧换新，补贴%d元。",
    ),
    "travel": ("古镇三日游，早鸟价%d元起。", "北方滑雪季，团号%d正在报名。"),
    "real-estate": ("河畔新盘加推，首付%d元起。", "样板间开放，预约号%d。"),
    "telecom": ("流量包升级，每月多得%d兆。", "老用户专享套餐，活动号%d。"),
    "health": ("年卡特惠，器械区全新开放，会员号%d。",),
    "recruitment": ("本周招聘会有%d个职位，欢迎携简历到场。",),
}
