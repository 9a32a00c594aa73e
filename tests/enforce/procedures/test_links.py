"""Links as people hide them, and texts that only look as if they had one."""

import pytest

from stream.enforce.procedures.links import links

FOUND = {
    "登录abc.cn查询": "abc.cn",
    "abc.wang": "abc.wang",
    "某某.com": "某某.com",
    "请看某某.中国查询": "请看某某.中国",
    "t.cn": "t.cn",
    "12306.cn": "12306.cn",
    "a.b.com": "a.b.com",
    "abc.com.cn/路": "abc.com.cn",
    "www.例子": "www.例子",
    "www。例子": "www.例子",
    "xn--fiqs8s.xn--fiqs8s": "xn--fiqs8s.xn--fiqs8s",
    "访问１９２．１６８．１．１": "192.168.1.1",
    "见0300.0250.1.1": "0300.0250.1.1",
    "见0xC0.0xA8.0x1.0x1": "0xc0.0xa8.0x1.0x1",
    "192.168.001.001": "192.168.001.001",
    "见[2001:db8::1]": "2001:db8::1",
    "见ｆｅ８０：：１a": "fe80::1a",
    "пример.рф": "пример.рф",
    "яндекс.москва查询": "яндекс.москва",
    "сайт.онлайн": "сайт.онлайн",
    "abc.भारत": "abc.भारत",
    "موقع.السعودية": "موقع.السعودية",
    "ａｂｃ．ｃｎ": "abc.cn",
    "ⓐⓑⓒ.cn": "abc.cn",
    "ab\u200bc.\u200bc\ufe0fn": "abc.cn",
    "ab\u034fc.\U000e0100c\u3164n": "abc.cn",
    "abc点com": "abc.com",
    "163点com": "163.com",
    "58点com": "58.com",
    "登录9点cn查询": "9.cn",
    "99点top": "99.top",
    "某某点com": "某某.com",
    "abc。cn": "abc.cn",
    "abc[.]cn": "abc.cn",
    "abc（点）cn": "abc.cn",
    "abc dot com": "abc.com",
    "abc . cn": "abc.cn",
    "abc. cn": "abc.cn",
    "a b c . c o m": "abc.com",
    "abc\n.cn": "abc.cn",
    "weixin://dl/x": "weixin://",
    "#小程序://某某": "小程序://",
    "ｈｔｔｐ：／／ａ": "http://",
    "http : // a": "http://",
    "https:\\\\a": "https://",
    "見\u0430bc.\u0441n查询": "abc.cn",
    "\u0410\u0412\u0421.\u0421\u041e\u041c": "abc.com",
    "\u03b1bc.c\u03bfm": "abc.com",
    "c\u0332o\u0332.c\u0332n\u0332": "co.cn",
    "àbć.çn": "abc.cn",
    "яндекс.рус": "яндекс.рус",
    "baidu,com": "baidu.com",
    "登录baidu，cn查询": "baidu.cn",
    "baidu丶com": "baidu.com",
    "abc●cn查询": "abc.cn",
    "abc..cn": "abc.cn",
    "abc。。cn": "abc.cn",
    "abc…cn": "abc.cn",
    "abc《.》com": "abc.com",
    "abc'.'com": "abc.com",
    "abc“.”com": "abc.com",
    "abc . c n": "abc.cn",
    "abc.c o m": "abc.com",
    "见127.1，": "127.1",
    "见0x7f.1": "0x7f.1",
    "weixin:dl/business": "weixin:",
    "见alipays:platformapi?a": "alipays:",
    "abc。网址": "abc.网址",
    "abc.网址": "abc.网址",
}

NONE = [
    "e.g.info.",
    "1.2 元",
    "9点to 10点",
    "每天8点到20点",
    "上午9点vip专场,20点top",
    "请于8点前到达。me too",
    "Wash hands. In case of fever call 12320.",
    "增长3.5%,共2.5kg",
    "2026.11.30",
    "1.2.3",
    "9:30:10",
    "9::30",
    "MAC 00:1a:2b:3c:4d:5e",
    "ДОМ. Не выходите",
    "0999.1.1.1",
    "123.456.789.1",
    "电话010-12345678。信息如下",
    "时间:9:30/10:30",
    "A。B。C",
    "No.1",
    "政府.网站公布",
    "请去医院.健康第一",
    "请去医院。健康第一",
    "用app。网站见12345",
    "尊敬的用户,vip专线12345",
    "等等...vip专场",
    "他说“好”。“to be”",
    "127.1万剂,127.1%",
    "微信weixin:gh-12345",
    "См. далее. Все на местах, т.к. сухо",
    "αβ两型",
    "http",
    "",
]


@pytest.mark.parametrize(("text", "link"), FOUND.items())
def test_a_link_is_found_however_it_is_hidden(text: str, link: str) -> None:
    assert links(text) == (link,)


@pytest.mark.parametrize("text", NONE)
def test_what_a_reader_takes_for_no_link_is_none(text: str) -> None:
    assert links(text) == ()


def test_every_link_is_named_once() -> None:
    assert links("abc.cn 和 https://abc.cn 和 t.me") == ("https://", "abc.cn", "t.me")
