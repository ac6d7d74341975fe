//! How often neighbours are of one class, as text and as JSON.

use crate::output;
use gabor::neighbors::{NeighborIndex, Retrieval};
use gabor::report::{class_name, count, percent, table};
use serde_json::Value;

pub(super) fn json(r: &Retrieval, index: &NeighborIndex) -> Value {
    let class = |c: &gabor::neighbors::ClassRetrieval| serde_json::json!({ "class": index.classes.get(c.class as usize), "queries": c.queries, "p1": c.p1, "pk": c.pk, "map": c.map });
    let classes: Vec<Value> = r.classes.iter().map(class).collect();
    serde_json::json!({ "k": r.k, "queries": r.queries, "alone": r.alone, "p1": r.p1, "pk": r.pk, "map": r.map, "classes": classes })
}

/// Most classes that are listed one by one.
const LISTED: usize = 20;

pub(super) fn text(r: &Retrieval, index: &NeighborIndex) -> String {
    let mut out = format!(
        "{} queries   P@1 {}   P@{} {}   mAP {}\n",
        count(r.queries as u64),
        output::bold(&percent(r.p1)),
        r.k,
        percent(r.pk),
        output::bold(&percent(r.map))
    );
    let mut order: Vec<_> = r.classes.iter().collect();
    if order.len() > LISTED {
        order.sort_by(|a, b| a.map.total_cmp(&b.map));
        out += &format!("\nthe {LISTED} worst of {} classes\n", order.len());
    }
    let row = |c: &&gabor::neighbors::ClassRetrieval| {
        let name = index.classes.get(c.class as usize).map_or("", |c| class_name(c)).to_string();
        vec![name, count(c.queries as u64), percent(c.p1), percent(c.pk), percent(c.map)]
    };
    let rows: Vec<Vec<String>> = order.iter().take(LISTED).map(row).collect();
    let at = format!("P@{}", r.k);
    out += &format!("\n{}", table(&["class", "queries", "P@1", &at, "mAP"], &[false, true, true, true, true], &rows));
    if r.alone > 0 {
        out += &format!("\n{} pictures are the only ones of their class and did not ask\n", count(r.alone as u64));
    }
    out
}
