//! Small numbers for large values, so that a state of the model is small, and answers that are asked for
//! once only: everything behind them is a pure function.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, RwLock};

/// Values by number, in the order in which they were first seen.
pub struct Table<T>(RwLock<Numbered<T>>);

struct Numbered<T> {
    values: Vec<Arc<T>>,
    numbers: HashMap<String, u16>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(RwLock::new(Numbered { values: Vec::new(), numbers: HashMap::new() }))
    }
}

impl<T> Table<T> {
    /// The number of the value that this text describes completely.
    pub fn number(&self, text: String, value: impl FnOnce() -> T) -> u16 {
        if let Some(number) = self.0.read().unwrap().numbers.get(&text) {
            return *number;
        }
        let Numbered { values, numbers } = &mut *self.0.write().unwrap();
        *numbers.entry(text).or_insert_with(|| {
            values.push(Arc::new(value()));
            u16::try_from(values.len() - 1).unwrap()
        })
    }

    pub fn get(&self, number: u16) -> Arc<T> {
        self.0.read().unwrap().values[usize::from(number)].clone()
    }
}

/// Answers by question.
pub struct Memo<Q, A>(RwLock<HashMap<Q, A>>);

impl<Q, A> Default for Memo<Q, A> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<Q: Hash + Eq, A: Clone> Memo<Q, A> {
    pub fn ask(&self, question: Q, answer: impl FnOnce(&Q) -> A) -> A {
        if let Some(known) = self.0.read().unwrap().get(&question) {
            return known.clone();
        }
        let new = answer(&question);
        self.0.write().unwrap().entry(question).or_insert(new).clone()
    }
}
