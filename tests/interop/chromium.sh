#!/bin/sh
# Chromium loads a page with its assets from build/tests/conformance_server, asks for more from its script, posts a form's
# data, and sees it all arrive.
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
[ "${1:-}" != --needs ] || { browser > /dev/null || { echo chromium; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

site=$folder/site
mkdir "$site"
cat > "$site/index.html" << 'END'
<!doctype html>
<html><head><meta charset="utf-8"><title>assets</title>
<link rel="stylesheet" href="style.css"><script src="script.js" defer></script></head>
<body><img id="image" src="image.svg" alt=""><ul id="seen"></ul></body></html>
END
echo '#seen { list-style-type: square }' > "$site/style.css"
echo '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>' > "$site/image.svg"
cat > "$site/script.js" << 'END'
const seen = text => document.getElementById('seen').append(Object.assign(document.createElement('li'), { textContent: text }));
async function look() {
    const image = document.getElementById('image');
    await image.decode();
    seen('image ' + image.naturalWidth);
    seen('style ' + getComputedStyle(document.getElementById('seen')).listStyleType);
    const chunked = await (await fetch('/chunked/100000')).text();
    seen('chunked ' + chunked.length);
    const many = await Promise.all([...Array(20).keys()].map(n => fetch('/bytes/' + n).then(answer => answer.text())));
    seen('many ' + many.every((text, n) => text.length === n));
    const form = new FormData();
    form.append('name', 'a "quoted" value');
    form.append('file', new File(['content'], 'some file.txt', { type: 'text/plain' }));
    const posted = await (await fetch('/form', { method: 'POST', body: form })).text();
    seen('form ' + posted.includes('field name=a "quoted" value') + posted.includes('filename=some file.txt type=text/plain length=7'));
    const again = await fetch('image.svg', { headers: { 'If-None-Match': (await fetch('image.svg')).headers.get('ETag') }, cache: 'no-store' });
    seen('again ' + again.status);
}
look().catch(error => seen('error ' + error)).finally(() => seen('done'));
END
start_server build/tests/conformance_server --static="$site"
timeout 60 "$(browser)" --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" \
    --virtual-time-budget=20000 --dump-dom "http://127.0.0.1:$port/static/index.html" > "$folder/dom" 2> "$folder/errors" ||
    fail "chromium: $(tail -n 5 "$folder/errors")"
for wanted in 'image 7' 'style square' 'chunked 100000' 'many true' 'form truetrue' 'again 304' 'done'; do
    grep -q "<li>$wanted</li>" "$folder/dom" || fail "no \"$wanted\" in: $(grep -o '<li>[^<]*' "$folder/dom" | tr '\n' ' ')"
done
stop_server
