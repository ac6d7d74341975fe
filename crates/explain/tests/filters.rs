//! Filters of every network of the zoo, and of layers that read pictures.

use gabor_explain::filters::{BankKind, filter_layer, filter_layers, nearest};
use gabor_nets::{Mode, zoo};

#[test]
fn every_network_of_the_zoo_has_filters() {
    let (mut seen, mut strips, mut films, mut transposed, mut grouped) = (0, 0, 0, 0, 0);
    for card in zoo::cards().filter(|c| c.name.starts_with("tiny_")) {
        let net = zoo::by_name(card.name, &Default::default()).unwrap();
        let (graph, weights) = (net.graph(Mode::Infer).unwrap(), net.initialize(1).unwrap());
        let all = filter_layers(&graph);
        assert!(!all.is_empty(), "{}", card.name);
        for (name, weight) in &all {
            let bank = filter_layer(&graph, &weights, Some(name)).unwrap_or_else(|e| panic!("{}: {e}", card.name));
            assert_eq!(bank.values.len(), bank.shape().iter().product::<usize>(), "{} {name}", card.name);
            assert_eq!(weights.get(weight).unwrap().shape().iter().product::<usize>(), bank.values.len());
            // A layer is found by its parameter, too.
            assert_eq!(filter_layer(&graph, &weights, Some(weight)).unwrap().layer, *name);
            strips += usize::from(bank.kernel.len() == 1);
            films += usize::from(bank.kernel.len() == 3);
            transposed += usize::from(bank.kind == BankKind::Transposed);
            grouped += usize::from(bank.groups > 1 && bank.channels == 1);
            let size = match bank.kernel[..] {
                [k] => Some([1, k]),
                [h, w] => Some([h, w]),
                _ => None,
            };
            if let Some([h, w]) = size {
                let fit = nearest(bank.filter(0), bank.channels, [h, w], bank.norm(0));
                assert_eq!(fit.is_some(), if h == 1 { w >= 5 } else { h >= 3 && w >= 3 }, "{} {name}", card.name);
                assert!(fit.is_none_or(|f| (0.0..=1.0).contains(&f.r2)));
            }
        }
        let first = filter_layer(&graph, &weights, None).unwrap();
        assert!(first.first || first.kernel.len() == 1, "{}: {}", card.name, first.layer);
        seen += 1;
    }
    assert!(
        seen > 15 && strips > 0 && films > 0 && transposed > 0 && grouped > 0,
        "{seen} {strips} {films} {transposed} {grouped}"
    );
}

#[test]
fn a_layer_that_reads_a_picture_has_filters_of_its_size() {
    let net = zoo::by_name("mlp", &Default::default()).unwrap();
    let (graph, weights) = (net.graph(Mode::Infer).unwrap(), net.initialize(1).unwrap());
    let bank = filter_layer(&graph, &weights, None).unwrap();
    assert!(bank.kind == BankKind::Linear && bank.first, "{bank:?}");
    assert_eq!((bank.channels, &bank.kernel[..]), (1, &[28, 28][..]));
    // The weight is `[out, c · h · w]`: a filter is one of its rows.
    assert_eq!(bank.filter(3), &weights.get(&bank.weight).unwrap().as_f32().unwrap()[3 * 784..4 * 784]);
    let e = filter_layer(&graph, &weights, Some("fc9")).unwrap_err().to_string();
    assert!(e.contains("there is no layer `fc9`; right would be:") && e.contains("all layers with filters:"), "{e}");
}
