//! Attributes read back from their text, for every sample of every operation.

use gabor_graph::{AttributeText, registry};

fn owned(attributes: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    attributes.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
}

#[test]
fn attributes_read_back() {
    for spec in registry() {
        let samples = (spec.samples)();
        assert!(!samples.is_empty(), "{} has no samples", spec.name);
        for p in samples {
            let attributes = owned(p.operation.attributes());
            let again =
                (spec.read)(AttributeText::new(attributes.clone())).unwrap_or_else(|e| panic!("{}: {e}", p.to_text()));
            assert_eq!(again.name(), spec.name);
            assert_eq!(owned(again.attributes()), attributes);
            assert_eq!(format!("{again:?}"), format!("{:?}", p.operation));
            assert!(attributes.iter().all(|(_, v)| !v.contains(' ')), "{}: text without spaces", p.to_text());
        }
    }
}

#[test]
fn unknown_and_missing_attributes_are_errors() {
    for spec in registry() {
        let Some(p) = (spec.samples)().into_iter().next() else { continue };
        let attributes = owned(p.operation.attributes());
        let mut more = attributes.clone();
        more.push(("colour".into(), "red".into()));
        let e = (spec.read)(AttributeText::new(more)).expect_err(spec.name);
        assert_eq!(e.to_string(), "there is no attribute `colour` (given: red)");
        if !attributes.is_empty() {
            let e = (spec.read)(AttributeText::new(attributes[1..].to_vec())).expect_err(spec.name);
            assert_eq!(e.to_string(), format!("the attribute `{}` is missing", attributes[0].0));
        }
    }
}

#[test]
fn every_operation_has_a_page_and_a_row_of_its_own() {
    let mut names = std::collections::HashSet::new();
    for spec in registry() {
        assert!(names.insert(spec.name), "{} stands twice in the registry", spec.name);
        assert!(spec.doc.trim().len() > 30, "{} has no page", spec.name);
    }
}
