"""Where attachments may lie and where not, as people and partners write it."""

PUBLIC = (
    "https://photos.example/7.jpg",
    "https://photos.example",
    "https://a-1.b2.photos.example/a/b%20c.jpg?sig=A-b_c~d.e&x=1;2,3",
    "https://xn--fiqs8s.example/%E6%B0%B4.jpg",
    "https://photos.example/@me/http://127.0.0.1/",
    "https://mylocal.example/",
    "https://localhost.example/",
    "https://photos.example/" + "x" * (2_000 - 23),
)

NAMES = (
    "localhost",
    "photos",
    "metadata.google.internal",
    "photos.local",
    "me.localhost",
    "nas.lan",
    "nas.home.arpa",
    "a.intranet",
    "a.corp",
    "photos.example.",
    "-photos.example",
    "photos-.example",
    "photos..example",
    ".photos.example",
    "pho_tos.example",
    "Photos.example",
    "写真.example",
    "ｌｏｃａｌｈｏｓｔ.ｌｏｃａｌ",
    "photos。example",
    "photos.example%2einternal",
)
"""Of hosts within a network, and what is no name of a host in lower-case ASCII."""

ADDRESSES = (
    "127.0.0.1",
    "10.0.0.8",
    "192.168.1.1",
    "172.16.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "8.8.8.8",
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "127.0.0.0x1",
    "photos.0x7f",
    "127.0.0.1.",
    "１２７.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fd00::1]",
    "[fe80::1%25eth0]",
    "[2001:db8::1]",
)
"""In every form that some reader takes for one; public ones, too."""

OTHERS = (
    "x",
    "http://photos.example/7.jpg",
    "HTTPS://photos.example/7.jpg",
    "ftp://photos.example/7.jpg",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "s3://photos/7.jpg",
    "urn:casegrid:attachment:7",
    "//photos.example/7.jpg",
    "/7.jpg",
    "https:photos.example/7.jpg",
    "https:///photos.example/7.jpg",
    "https:\\\\photos.example\\7.jpg",
    "https://photos.example\\@127.0.0.1/",
    "https://li:secret@photos.example/7.jpg",
    "https://photos.example@127.0.0.1/",
    "https://photos.example:443/7.jpg",
    "https://photos.example:6379/",
    "https://photos.example/7.jpg#top",
    "https://photos.example#@127.0.0.1",
    "https://photos.example/a b.jpg",
    "https://photos.example/水.jpg",
    "https://photos.example/%zz",
    "https://photos.example/7.jpg\n",
    "https://photos.example/7.jpg\r\nhost: x",
    "https://photos.example/\t7.jpg",
    "https://photos.example/\x7f",
    " https://photos.example/7.jpg",
    "https://photos.example/\u202egpj.exe",
)
"""Other schemes, users, ports, fragments, and characters that stand in no URI."""

ELSEWHERE = (*OTHERS, *(f"https://{host}/7.jpg" for host in (*NAMES, *ADDRESSES)))
"""What no attachment may name."""

MEDIA_TYPES = (
    "image/jpeg",
    "Image/SVG+xml",
    "audio/ogg; codecs=opus",
    "application/vnd.ms-excel",
    "text/plain;charset=utf-8",
)
NO_MEDIA_TYPES = (
    "",
    "jpeg",
    "image/",
    "/jpeg",
    "image/jpeg\n",
    "image/jpeg, text/html",
    "image/<b>",
    "text/html\r\nx: y",
)
