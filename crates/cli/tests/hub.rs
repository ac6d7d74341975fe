//! Names of the hub on the command line, against a server of one machine.

mod common;
#[path = "../../hub/tests/server/mod.rs"]
mod server;

use common::{Place, bmp, json, stderr, stdout, write};
use gabor::formats::safetensors;
use gabor::prelude::*;
use server::{Answer, Server};
use std::process::Output;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository as timm makes them: weights, and what says network, classes and preprocessing.
fn repository() -> (Server, Weights) {
    let net = network("resnet20", &gabor::nets::zoo::Options { classes: Some(2), ..Default::default() }).unwrap();
    let weights = net.initialize(5).unwrap();
    let files = [
        ("model.safetensors", safetensors::write(&weights, &Default::default())),
        (
            "config.json",
            br#"{"architecture":"resnet20","num_classes":2,"label_names":["ant","bee"],"pretrained_cfg":{
                "input_size":[3,32,32],"interpolation":"bicubic","crop_pct":0.8,"crop_mode":"center",
                "mean":[0.5,0.25,0.125],"std":[0.2,0.2,0.2]}}"#
                .to_vec(),
        ),
    ];
    let sums: Vec<String> = files.iter().map(|f| gabor::hub::git_checksum(&f.1)).collect();
    let server = Server::start(move |r| {
        let found = files.iter().zip(&sums).find(|(f, _)| {
            ["main", COMMIT].iter().any(|rev| r.path == format!("/tester/resnet20.c2/resolve/{rev}/{}", f.0))
        });
        let header = |k: &str, v: &str| (k.to_string(), v.to_string());
        match found {
            Some((f, sum)) => Answer {
                status: 200,
                headers: vec![header("ETag", &format!("\"{sum}\"")), header("X-Repo-Commit", COMMIT)],
                body: f.1.clone(),
                ..Answer::default()
            },
            None => Answer { status: 404, headers: vec![header("X-Error-Code", "RepoNotFound")], ..Answer::default() },
        }
    });
    (server, weights)
}

fn run(p: &Place, server: &Server, words: &[&str]) -> Output {
    let mut c = p.command(words);
    c.env("HF_ENDPOINT", &server.address).env("HF_HUB_CACHE", p.path("cache")).env_remove("HF_HUB_OFFLINE");
    c.env_remove("HF_TOKEN").output().unwrap()
}

#[test]
fn a_name_is_a_model() {
    let p = Place::new("hub");
    let (server, weights) = repository();
    write(&p.path("x.bmp"), bmp(50, 40, |x, y| [(x * 5) as u8, (y * 6) as u8, 40]));
    let out = run(&p, &server, &["predict", "tester/resnet20.c2", "x.bmp", "--json"]);
    assert!(out.status.success(), "{}", stderr(&out));
    let first = json(&stdout(&out));
    let class = first[0]["top"][0]["class"].as_str().unwrap();
    assert!(["ant", "bee"].contains(&class), "{first}");
    let asked = server.seen().len();
    let out = run(&p, &server, &["predict", "tester/resnet20.c2", "x.bmp", "--json", "--offline"]);
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(json(&stdout(&out)), first);
    assert_eq!(server.seen().len(), asked);
    let out = run(&p, &server, &["convert", "tester/resnet20.c2@main", "m.onnx", "--verify"]);
    assert!(out.status.success(), "{}", stderr(&out));
    let model = Model::open(p.path("m.onnx")).unwrap();
    assert_eq!((model.weights(), model.classes()), (&weights, &["ant".to_string(), "bee".to_string()][..]));
    let how = model.preprocessing().unwrap();
    assert_eq!(how.mean, [0.5, 0.25, 0.125]);
    assert_eq!((how.resize, how.crop), (gabor::data::Resize::ShortSide { to: 40 }, Some([32, 32])));
    let out = run(&p, &server, &["summary", "tester/resnet20.c2", "--json"]);
    assert_eq!(json(&stdout(&out))["name"], "resnet20");
    // The repository says the network; the data say the classes.
    let words = ["train", "--weights", "tester/resnet20.c2", "--out", "run", "max_steps=2", "epochs=1", "val=0"];
    let out = run(&p, &server, &words);
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("the weights have 2 classes, the data 10"), "{}", stderr(&out));
    assert_eq!(Model::open(p.path("run/model.onnx")).unwrap().preprocessing().unwrap().mean, [0.5, 0.25, 0.125]);
}

#[test]
fn what_the_hub_lacks_is_said() {
    let p = Place::new("hub-lacks");
    let (server, _) = repository();
    let fails = |words: &[&str]| {
        let out = run(&p, &server, words);
        assert_eq!(out.status.code(), Some(1), "{words:?}: {}", stdout(&out));
        stderr(&out)
    };
    assert!(fails(&["summary", "tester/none"]).contains("tester/none: there is no such repository, or it is private"));
    let text = fails(&["summary", "tester/resnet20.c2", "--offline"]);
    assert!(text.contains("is not in the cache, and the network is off"), "{text}");
    // A misspelt path is no name of the hub.
    let asked = server.seen().len();
    assert!(fails(&["summary", "weights/none.pth"]).contains("none.pth"));
    assert_eq!(server.seen().len(), asked);
}
