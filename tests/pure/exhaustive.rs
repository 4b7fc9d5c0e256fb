//! Every interleaving that fits a size, around the code that ships (`tests/model`).

use std::num::NonZero;

use crate::model::{self, Size};

fn explore(size: Size) -> model::Explored {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    model::explore(size, threads)
}

fn nothing_breaks(sizes: Vec<Size>) {
    for size in sizes {
        let explored = explore(size);
        assert!(explored.violations.is_empty(), "{}", explored.violations.join("\n"));
        assert!(explored.complete);
    }
}

#[test]
fn p01_no_interleaving_of_a_small_size_orders_twice_forgets_or_never_rests() {
    nothing_breaks(model::small());
}

#[test]
#[ignore = "some minutes"]
fn p01_no_interleaving_of_any_size_orders_twice_forgets_or_never_rests() {
    nothing_breaks(model::all());
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
