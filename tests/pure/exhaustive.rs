//! Every interleaving that fits a size, around the code that ships (`tests/model`).

use std::num::NonZero;

use crate::model::{self, Size};

fn explore(size: Size) -> model::Explored {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    model::explore(size, threads)
}

fn nothing_breaks(sizes: Vec<Size>) {
    let (count, mut states) = (sizes.len(), 0);
    for size in sizes {
        let explored = explore(size);
        assert!(explored.violations.is_empty(), "{}", explored.violations.join("\n"));
        assert!(explored.complete);
        states += explored.unique_states;
    }
    println!("figure: states of the model | complete; 0 violations | {states} in {count} sizes, complete; 0");
}

/// The small sizes, some seconds; with `MODEL=all` every size, some minutes.
#[test]
fn p01_p02_p10_no_interleaving_orders_twice_forgets_or_never_rests() {
    let all = std::env::var("MODEL").is_ok_and(|sizes| sizes == "all");
    nothing_breaks(if all { model::all() } else { model::small() });
}

#[test]
fn the_model_notices_where_what_it_takes_for_granted_does_not_hold() {
    for size in model::broken_assumptions() {
        let explored = explore(size);
        assert!(!explored.violations.is_empty(), "{}: nothing broke", explored.name);
    }
}

#[test]
fn the_known_gaps_are_there() {
    for size in model::gaps() {
        let explored = explore(size);
        println!("{}", explored.violations.join("\n"));
        assert!(
            !explored.violations.is_empty(),
            "{} is closed: it belongs to the other sizes",
            explored.name
        );
    }
}
