//! The command on data that lie on a web server or in an S3 store: the same bits as on this machine, errors that say what to do.
#![cfg(feature = "object-store")]

mod common;
#[path = "../../data/tests/server/mod.rs"]
mod server;

use common::{Place, json, read, stderr, stdout};
use server::{Kind, Server};

/// The tensors of a run's last checkpoint, without the header in front of them, where times stand.
fn tensors(p: &Place, run: &str) -> Vec<u8> {
    let bytes = read(&p.path(run).join("checkpoints/last.safetensors"));
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    rest[u64::from_le_bytes(*length) as usize..].to_vec()
}

const TRAIN: &[&str] = &["train", "--net", "mlp", "augment=shift:1", "epochs=2", "max_steps=12", "batch=64"];

#[test]
fn trainings_on_a_web_server_are_those_on_the_disk() {
    let p = Place::new("web");
    p.done(&["data", "convert", "digits", "web/shards", "--to", "tar", "--shard-bytes", "300KB"]);
    p.done(&["data", "convert", "digits", "web/columns", "--to", "parquet"]);
    let server = Server::start(&p.path("web"), Kind::Pages, 0);
    let run = |data: &str, out: &str, more: &str| {
        p.done(&[TRAIN, &["--data", data, "--out", out, more]].concat());
        tensors(&p, out)
    };
    let own = run("web/shards", "shards-here", "seed=0");
    assert!(own == run(&server.url("shards"), "shards-there", "seed=0"), "drawn and trained alike");
    // Servers that list nothing, or hand out whole files only; whatever they do, a shard's bytes come once.
    for (kind, out) in [(Kind::Plain, "listed-by-index"), (Kind::Whole, "without-ranges")] {
        let server = Server::start(&p.path("web"), kind, 0);
        assert!(own == run(&server.url("shards"), out, "seed=0"), "{out}");
        let mut fetched = server.requests();
        fetched.retain(|r| r.starts_with("GET") && r.contains(".tar"));
        let all = fetched.len();
        fetched.sort();
        fetched.dedup();
        assert!(all > 1 && fetched.len() == all, "{out}: {fetched:?}");
    }
    assert!(own == run(&server.url("shards"), "handed-on", "split=shards-here"), "divided as on the disk");
    run(&server.url("columns/train-00000-of-00001.parquet"), "columns", "seed=0");
    // A run goes on, is measured and shown by the address that it wrote down.
    p.done(&["train", "--resume", "shards-there", "max_steps=none"]);
    let v = json(&p.done(&["eval", "shards-there/model.onnx", "--json"]));
    assert_eq!((&v["count"], &v["split"]), (&360.into(), &"test".into()));
    p.done(&["data", "show", "shards-there"]);
    let v = json(&stdout(&p.gabor(&["data", "check", &server.url("shards"), "--json"])));
    assert_eq!(v["parts"][0]["samples"], 1437);
    p.done(&["data", "convert", &server.url("shards"), "copy", "--to", "folder"]);
    assert!(p.path("copy/train/7/00000000.png").exists());
    for (address, said) in [
        (server.url("nowhere"), "the server does not say what is there"),
        (server.url("shards/absent.tar"), "404"),
        ("http://127.0.0.1:9/photos".to_string(), "an address that can be reached from here"),
        ("ftp://host/photos".to_string(), "s3://, gs://, az://, abfs://, http:// or https://"),
        (server.url("shards?token=1"), "an address with a query"),
    ] {
        let e = p.fails(1, &[TRAIN, &["--data", &address]].concat());
        assert!(e.starts_with("error: ") && e.contains(said), "{address}: {e}");
    }
    assert!(!p.path("runs").exists());
}

#[test]
fn a_bucket_is_trained_on_with_the_credentials_of_the_environment() {
    let p = Place::new("bucket");
    p.done(&["data", "convert", "digits", "store/set/digits", "--to", "tar"]);
    let server = Server::start(&p.path("store"), Kind::S3, 7);
    let words = [TRAIN, &["--data", "s3://bucket/set/digits", "--out", "run"]].concat();
    let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")];
    let out = p.command(&words).env("AWS_ENDPOINT", server.url("")).envs(keys).output().unwrap();
    assert!(out.status.success(), "{}", stderr(&out));
    p.done(&[TRAIN, &["--data", "store/set/digits", "--out", "here"]].concat());
    assert!(tensors(&p, "run") == tensors(&p, "here"), "a store that fails now and then changes nothing");
    let keys = [("AWS_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_SKIP_SIGNATURE", "true")];
    let out = p.command(&words).env("AWS_ENDPOINT", server.url("")).envs(keys).output().unwrap();
    let told = stderr(&out);
    assert!(out.status.code() == Some(1) && told.contains("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"), "{told}");
}
