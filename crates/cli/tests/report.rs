//! `gabor report` as a process.

mod common;

use common::{Place, json, read};

const NET: &str = "net=INPUT 1x12x12 -> conv3-6 relu maxpool conv3-8 relu -> FC";

#[test]
fn the_page_of_a_run_is_written_again() {
    let p = Place::new("report");
    let text = p.done(&["train", "--out", "run", "max_steps=4", "epochs=1", NET]);
    // What was trained may be looked into at once.
    let next: Vec<&str> = text.lines().skip_while(|l| *l != "next:").skip(1).map(str::trim).collect();
    for begin in ["filters", "explain"] {
        let line = next.iter().find(|l| l.split(' ').nth(1) == Some(begin)).unwrap_or_else(|| panic!("{text}"));
        p.done(&line.split(' ').skip(1).collect::<Vec<_>>());
    }
    let page = |name: &str| String::from_utf8(read(&p.path(name))).unwrap();
    let before = page("run/report.html");
    std::fs::remove_file(p.path("run/report.html")).unwrap();
    let text = p.done(&["report", "run"]);
    assert!(
        text.contains("run after 4 steps") && text.contains("on the test part") && text.ends_with("run/report.html\n")
    );
    // The same page but for the hour in it.
    let plain = |text: String| -> String { text.lines().filter(|l| !l.contains(" UTC")).collect() };
    let after = page("run/report.html");
    assert!(after.contains("Inside the network") && after.contains("Grad-CAM at <code>relu2</code>"));
    // The first filters are the drawing of `gabor filters`.
    assert!(after.contains("<img class=\"drawing\" src=\"data:image/svg+xml;base64,"));
    assert_eq!(plain(before), plain(after));
    let found = json(&p.done(&["report", "run", "-o", "other.html", "--json"]));
    assert_eq!((&found["report"], &found["steps"], &found["split"]), (&"other.html".into(), &4.into(), &"test".into()));
    assert!(page("other.html").contains("Inside the network"));
    // A training that goes on and is not over: the page is of the checkpoint, not of the model of the end before.
    let old = read(&p.path("run/model.onnx"));
    p.done(&["train", "--resume", "run", "max_steps=40"]);
    let events = page("run/metrics.jsonl");
    let last = events.rfind("\"event\":\"run_started\"").unwrap();
    let over = |line: &&str| {
        !["evaluated", "stopped", "finished"].iter().any(|e| line.contains(&format!("\"event\":\"{e}\"")))
    };
    let begun: Vec<&str> = events[last..].lines().filter(over).collect();
    common::write(&p.path("run/metrics.jsonl"), events[..last].to_string() + &begun.join("\n") + "\n");
    common::write(&p.path("run/model.onnx"), &old);
    assert!(p.done(&["report", "run", "-o", "on.html"]).contains("not over"));
    std::fs::remove_file(p.path("run/model.onnx")).unwrap();
    p.done(&["report", "run", "-o", "checkpoint.html"]);
    assert_eq!(plain(page("on.html")), plain(page("checkpoint.html")));
    common::write(&p.path("run/metrics.jsonl"), &events);
    common::write(&p.path("run/model.onnx"), &old);
    // Without the model's file the page is made from the checkpoint.
    std::fs::remove_file(p.path("run/model.onnx")).unwrap();
    p.done(&["report", "run", "-o", "third.html"]);
    assert!(page("third.html").contains("Inside the network"));
    assert!(p.fails(2, &["report", "run", "-o", "a.pdf"]).contains("right would be: a name in .html"));
    let e = p.fails(1, &["report", "nowhere"]);
    assert!(
        e.contains("nowhere: there is no config.toml, which a run has; right would be: the directory of a run"),
        "{e}"
    );
}
