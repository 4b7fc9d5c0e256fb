//! Every interleaving that fits a size, around the code that ships (`tests/model`).

use std::num::NonZero;

use crate::model::{self, Size};

fn explore(size: Size) -> model::Explored {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    model::explore(size, threads)
}

/// Every size, some minutes; else the small ones, some seconds.
fn all() -> bool {
    std::env::var("MODEL").is_ok_and(|sizes| sizes == "all")
}

fn nothing_breaks(what: &str, sizes: Vec<Size>) {
    let (count, mut states) = (sizes.len(), 0);
    for size in sizes {
        let explored = explore(size);
        assert!(explored.violations.is_empty(), "{}", explored.violations.join("\n"));
        assert!(explored.complete);
        states += explored.unique_states;
    }
    println!(
        "figure: states of the model{what} | complete; 0 violations | {states} in {count} sizes, complete; 0"
    );
}

#[test]
fn p01_p02_p10_no_interleaving_orders_twice_forgets_or_never_rests() {
    nothing_breaks("", if all() { model::all() } else { model::small() });
}

#[test]
fn p09_p12_a_store_that_is_set_back_loses_nothing_that_a_process_knows() {
    nothing_breaks(", the store set back", model::kinds::set_back(all()));
}

#[test]
fn p25_nothing_is_intended_for_what_is_deleted_suspended_or_edited_by_then() {
    nothing_breaks(", changes seen late", model::kinds::changed_behind(all()));
}

#[test]
fn p16_no_interleaving_cancels_twice_or_what_nobody_asked_for() {
    nothing_breaks(", cancelling", model::kinds::cancelling(all()));
}

#[test]
fn p24_p26_names_that_meant_one_entry_harm_and_hold_up_nobody() {
    nothing_breaks(", names that meant one entry", model::kinds::colliding(all()));
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
