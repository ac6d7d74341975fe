//! `gabor neighbors` as a process.
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::{Place, bmp, json, read, write};
use gabor::formats::npy;

#[test]
fn an_index_answers_queries() {
    let p = Place::new("neighbors");
    p.model();
    let made = p.done(&["neighbors", "model/model.onnx", "digits", "-o", "d.safetensors", "--npy", "arrays", "--json"]);
    let made = json(&made);
    let count = made["count"].as_u64().unwrap() as usize;
    assert_eq!((&made["index"], &made["metric"]), (&"d.safetensors".into(), &"cosine".into()));
    let r = &made["retrieval"];
    assert_eq!((r["queries"].as_u64().unwrap() as usize, r["classes"].as_array().unwrap().len()), (count, 10));
    assert!(r["p1"].as_f64().unwrap() > 0.5 && r["map"].as_f64().unwrap() > 0.2, "{r}");
    let features = npy::read(&read(&p.path("arrays/features.npy"))).unwrap();
    assert_eq!(features.shape(), [count, made["width"].as_u64().unwrap() as usize]);
    write(&p.path("a.bmp"), bmp(40, 20, |x, _| if x > 15 && x < 24 { [250; 3] } else { [5; 3] }));
    let ask = ["neighbors", "d.safetensors", "--query", "a.bmp", "--query-index", "3,17", "--top", "4", "--json"];
    let found = json(&p.done(&ask));
    let queries = found["queries"].as_array().unwrap();
    assert_eq!((queries.len(), &found["picture"], &queries[2]["index"]), (3, &"neighbors.svg".into(), &17.into()));
    assert!(found.get("retrieval").is_none());
    for q in queries {
        let near = q["neighbors"].as_array().unwrap();
        let distances: Vec<f64> = near.iter().map(|n| n["distance"].as_f64().unwrap()).collect();
        assert!(near.len() == 4 && distances.is_sorted());
        assert!(near.iter().all(|n| n["index"] != q["index"]), "a picture is not its own neighbour");
    }
    let svg = String::from_utf8(read(&p.path("neighbors.svg"))).unwrap();
    assert_eq!(svg.matches("<image").count(), 15);
    // The same bits with another number of threads, and by the model without a file between.
    let one = ["neighbors", "model/model.onnx", "digits", "-o", "one.safetensors", "--threads", "1"];
    let text = p.done(&one);
    assert!(text.contains("mAP") && read(&p.path("one.safetensors")) == read(&p.path("d.safetensors")), "{text}");
    let ask = ["neighbors", "model/model.onnx", "digits", "--query-index", "3", "-o", "x.svg", "--metric", "euclidean"];
    assert!(p.done(&ask).ends_with("\nx.svg\n") && !p.path("neighbors.safetensors").exists());
    let voted = json(&p.done(&["neighbors", "d.safetensors", "--test", "digits", "--k", "3", "--json"]));
    assert_eq!(voted["test"]["accuracy"].as_array().unwrap().len(), 3);
    assert_eq!(voted["test"]["accuracy"][0], 1.0, "each picture finds itself");
}

#[test]
fn a_map_is_a_page_and_a_drawing() {
    let p = Place::new("neighbors-map");
    p.model();
    p.done(&["neighbors", "model/model.onnx", "digits"]);
    let draw = |file: &str, more: &[&str]| {
        let words = ["neighbors", "neighbors.safetensors", "--map", file, "--map-points", "120", "--json"];
        let steps: &[&str] = if more.contains(&"pca") { &[] } else { &["--map-steps", "500"] };
        json(&p.done(&[&words, steps, more].concat()))["map"].take()
    };
    let page = draw("map.html", &["--npy", "arrays"]);
    assert_eq!((page["pictures"].as_array().unwrap().len(), &page["method"]), (120, &"tsne".into()));
    assert!(page["trustworthiness"].as_f64().unwrap() > 0.95, "{page}");
    assert!(page["class_on_map"].as_f64().unwrap() > 0.4, "{page}");
    let places = npy::read(&read(&p.path("arrays/map.npy"))).unwrap();
    assert_eq!(places.shape(), [120, 2]);
    let html = String::from_utf8(read(&p.path("map.html"))).unwrap();
    assert!(html.contains("data:image/png;base64,") && !html.contains("http://") && !html.contains("https://"));
    // The same bits with another number of threads.
    draw("one.html", &["--threads", "1"]);
    assert_eq!(read(&p.path("one.html")), html.as_bytes());
    let other = draw("seed.html", &["--seed", "1"]);
    assert_ne!(other["places"], page["places"]);
    draw("map.svg", &["--map-method", "pca"]);
    let svg = String::from_utf8(read(&p.path("map.svg"))).unwrap();
    assert_eq!(svg.matches("<use").count(), 120 + 10);
    draw("map.png", &["--look", "dark"]);
    assert!(read(&p.path("map.png")).starts_with(b"\x89PNG"));
    draw("pictures.svg", &["--map-pictures"]);
    assert!(String::from_utf8(read(&p.path("pictures.svg"))).unwrap().matches("<image").count() > 40);
    let e = |code, words: &[&str]| p.fails(code, &[&["neighbors", "neighbors.safetensors"], words].concat());
    assert!(e(2, &["--map", "map.pdf"]).contains("--map map.pdf: right would be: a name in .html, .svg or .png"));
    assert!(e(2, &["--map-points", "9"]).contains("--map"));
    assert!(e(2, &["--map", "m.svg", "--map-method", "umap"]).contains("right would be: tsne or pca"));
    let text = e(1, &["--map", "m.svg", "--map-points", "50", "--perplexity", "40"]);
    assert!(text.contains("a perplexity of 40 for 50 pictures; right would be: a number from 1 to 16"), "{text}");
}

#[test]
fn what_does_not_fit_is_said() {
    let p = Place::new("neighbors-errors");
    p.model();
    p.done(&["neighbors", "model/model.onnx", "digits"]);
    let e = |code, words: &[&str]| p.fails(code, &[&["neighbors"], words].concat());
    let index = "neighbors.safetensors";
    assert!(
        e(2, &["model/model.onnx"]).contains("right would be: gabor neighbors MODEL DATA, or gabor neighbors INDEX")
    );
    assert!(e(2, &[index, "-o", "x.png2"]).contains("a name in .safetensors for the index"));
    assert!(e(2, &[index, "-o", "x.svg"]).contains("there are no queries; right would be: --query IMAGE"));
    assert!(e(2, &[index, "--layer", "relu1"]).contains("--layer: the index neighbors.safetensors has its own"));
    assert!(e(2, &[index, "--metric", "manhattan"]).contains("right would be: cosine or euclidean"));
    assert!(e(1, &[index, "--query-index", "100000"]).contains("right would be: a number from 0 to"));
    assert!(e(1, &["model/model.onnx", "digits", "--layer", "reluu1"]).contains("there is no layer `reluu1`"));
    assert!(e(1, &[index, "--query", "none.png"]).contains("none.png"));
    assert!(e(2, &[index, "--offline"]).contains("--offline has no part in what is asked: the index has its features"));
    // What is asked beyond what there is gives all there is, and that is said.
    let said = |words: &[&str]| {
        let out = p.gabor(&[&["neighbors", index], words].concat());
        assert!(out.status.success(), "{}", common::stderr(&out));
        common::stderr(&out)
    };
    let text = said(&["--map", "m.svg", "--map-method", "pca", "--map-points", "40000"]);
    assert!(text.contains("--map-points 40000: the index has 360 pictures, and the map shows them all"), "{text}");
    let text = said(&["--most", "30000", "--k", "400"]);
    assert!(text.contains("--most 30000: the index has 360 pictures, and all of them ask"), "{text}");
    assert!(text.contains("--k 400: the index has 359 neighbours of a picture, and all of them count"), "{text}");
    assert!(!said(&["--most", "20", "--k", "3"]).contains("the index has"));
    assert!(e(1, &[index, "--query-index", "0", "--data", "nowhere"]).contains("nowhere"));
    // Another model in the place of the first.
    write(&p.path("a.bmp"), bmp(8, 8, |_, _| [200; 3]));
    p.done(&["neighbors", index, "--query", "a.bmp"]);
    p.done(&["train", "--net", "mlp", "--out", "other", "max_steps=2", "epochs=1", "augment=none"]);
    std::fs::copy(p.path("other/model.onnx"), p.path("model/model.onnx")).unwrap();
    let text = e(1, &[index, "--query", "a.bmp"]);
    assert!(text.contains("the index is of another model: its features cannot be compared"), "{text}");
    // What needs no model still works.
    p.done(&["neighbors", index, "--query-index", "0"]);
    let mut bytes = read(&p.path(index));
    let last = bytes.len() - 1;
    bytes[last] ^= 64;
    write(&p.path("damaged.safetensors"), bytes);
    assert!(e(1, &["damaged.safetensors"]).contains("it is damaged"));
}

/// What a page says of itself after a user pressed keys and clicked, in a real browser; `None` where there is none.
fn browsed(p: &Place, page: &str, script: &str) -> Option<serde_json::Value> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.iter().find(|n| std::process::Command::new(n).arg("--version").output().is_ok())?;
    let html = String::from_utf8(read(&p.path(page))).unwrap();
    // A busy machine may draw no frame before the browser ends.
    let frames = "<head><script>window.requestAnimationFrame = (draw) => setTimeout(draw, 0);</script>";
    assert!(html.contains("<head>"));
    let acting = format!(
        "<script>window.addEventListener('load', () => setTimeout(async () => {{ const out = {{}}; {script}; \
         document.body.innerHTML = '<pre id=result>' + btoa(JSON.stringify(out)) + '</pre>'; }}, 300));</script></body>"
    );
    write(&p.path("acting.html"), html.replace("<head>", frames).replace("</body>", &acting));
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=4000",
        "--window-size=1200,800",
        "--dump-dom",
    ];
    let out = std::process::Command::new(found).args(flags).arg(p.path("acting.html")).output().unwrap();
    let dom = common::stdout(&out);
    let told = dom.split("<pre id=\"result\">").nth(1).and_then(|d| d.split("</pre>").next());
    let told = told.unwrap_or_else(|| panic!("the page did not finish: {}", &dom[dom.len().saturating_sub(600)..]));
    Some(json(&String::from_utf8(unbase64(told)).unwrap()))
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => u32::from(b - b'A'),
        b'a'..=b'z' => u32::from(b - b'a') + 26,
        b'0'..=b'9' => u32::from(b - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for chunk in text.trim().trim_end_matches('=').as_bytes().chunks(4) {
        let bits = chunk.iter().enumerate().fold(0, |v, (i, &b)| v | digit(b) << (18 - 6 * i));
        out.extend((1..chunk.len()).map(|i| (bits >> (24 - 8 * i)) as u8));
    }
    out
}

#[test]
fn the_page_works_in_a_browser() {
    let p = Place::new("neighbors-page");
    p.model();
    p.done(&[
        "neighbors",
        "model/model.onnx",
        "digits",
        "--map",
        "map.html",
        "--map-points",
        "90",
        "--map-method",
        "pca",
    ]);
    let script = "\
        const q = (s) => document.querySelector(s), all = (s) => document.querySelectorAll(s); \
        const key = (k) => q('#canvas').dispatchEvent(new KeyboardEvent('keydown', { key: k, bubbles: true })); \
        out.ready = document.documentElement.dataset.ready; \
        out.classes = all('#legend button').length; \
        out.hint = all('#chosen .hint').length; \
        key('.'); out.chosen = q('#chosen b').textContent; out.near = all('.near button').length; \
        const first = q('#chosen figcaption').textContent; \
        q('.near button').click(); out.moved = q('#chosen figcaption').textContent !== first; \
        key('Escape'); out.let_go = all('#chosen .hint').length; \
        const canvas = q('#canvas'), box = canvas.getBoundingClientRect(); let hits = 0; \
        for (let y = 60; y < box.height; y += 6) for (let x = 8; x < box.width; x += 6) { \
          canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + x, clientY: box.top + y, bubbles: true })); \
          if (!q('#tip').hidden) { hits++; out.tip = q('#tip b').textContent; } } \
        out.hits = hits; \
        const buttons = all('#legend button'); buttons[0].click(); out.hidden = buttons[0].getAttribute('aria-pressed'); \
        buttons[3].dispatchEvent(new MouseEvent('dblclick')); \
        out.alone = [...buttons].filter((b) => b.getAttribute('aria-pressed') === 'true').length; \
        q('#every').click(); out.every = [...buttons].filter((b) => b.getAttribute('aria-pressed') === 'true').length; \
        key('p'); out.pictures = q('#pictures').getAttribute('aria-pressed'); key('+'); key('0'); \
        await new Promise((drawn) => setTimeout(drawn, 100)); \
        const g = canvas.getContext('2d'), d = g.getImageData(0, 0, canvas.width, canvas.height).data; \
        let ink = 0; for (let i = 3; i < d.length; i += 4) if (d[i] > 0) ink++; out.ink = ink";
    let Some(told) = browsed(&p, "map.html", script) else {
        println!("skipped: there is no Chromium here");
        return;
    };
    assert_eq!((&told["ready"], &told["classes"], &told["hint"]), (&"true".into(), &10.into(), &1.into()), "{told}");
    assert_eq!((&told["near"], &told["moved"], &told["let_go"]), (&8.into(), &true.into(), &1.into()), "{told}");
    assert!(told["hits"].as_u64().unwrap() > 90, "{told}");
    assert_eq!((&told["hidden"], &told["alone"], &told["every"]), (&"false".into(), &1.into(), &10.into()), "{told}");
    assert!(told["pictures"] == "true" && told["ink"].as_u64().unwrap() > 500, "{told}");
}
