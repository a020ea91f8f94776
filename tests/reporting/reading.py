"""A page as a browser would understand it, for tests."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements, headings and texts of a page; fails where elements are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.headings, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs)
        self.elements.append((tag, attributes, tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append((int(self.open[-1][1]), data))

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def check_page(text):
    """What holds for every page; gives it as a `Page`."""
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    assert [level for level, _ in page.headings].count(1) == 1
    levels = [level for level, _ in page.headings]
    assert all(after <= before + 1 for before, after in zip([0, *levels], levels, strict=False))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.all("svg"):
        assert attributes["role"] == "img"
        assert attributes["aria-label"]
    for name, attributes, _ in page.elements:
        assert name not in ("script", "img", "link", "iframe", "object", "image")
        assert not any(key.startswith("on") or key == "src" for key in attributes)
        for key in ("href", "xlink:href"):
            if key in attributes:
                assert attributes[key].startswith("#")
                assert attributes[key][1:] in ids
    for part in text.split("url(")[1:]:
        assert part.startswith("#")
        assert part[1 : part.index(")")] in ids
    captions = len(page.all("caption"))
    assert captions == len(page.all("table"))
    assert {cell["scope"] for cell in page.all("th")} <= {"col", "row"}
    for attributes in page.all("a"):
        assert attributes["href"]
    policies = [meta.get("content") for meta in page.all("meta") if "http-equiv" in meta]
    assert policies[0].startswith("default-src 'none'")
    return page
