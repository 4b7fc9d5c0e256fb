//! A value against the schema of a CRD, as the apiserver reads it.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use regex::Regex;
use serde_json::{Map, Value};

use super::manifest::Step;
use super::rules;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field.
    pub path: Vec<Step>,
    /// What is wrong with it.
    pub message: String,
}

impl Finding {
    /// The path as people write it: `spec.address.zip`.
    #[must_use]
    pub fn field(&self) -> String {
        let mut field = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if field.is_empty() => field += name,
                Step::Field(name) => {
                    let _ = write!(field, ".{name}");
                }
                Step::Element(index) => {
                    let _ = write!(field, "[{index}]");
                }
            }
        }
        field
    }
}

/// Whether the pattern, which is one of the CRDs', is found in the text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

/// A walk through a value.
#[derive(Default)]
pub(super) struct Check {
    path: Vec<Step>,
    pub(super) found: Vec<Finding>,
}

impl Check {
    pub(super) fn at(path: Vec<Step>) -> Self {
        Self { path, found: Vec::new() }
    }

    pub(super) fn report(&mut self, message: impl Into<String>) {
        self.found.push(Finding { path: self.path.clone(), message: message.into() });
    }

    pub(super) fn within(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    pub(super) fn field(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        self.within(Step::Field(name.into()), check);
    }

    pub(super) fn value(&mut self, schema: &JSONSchemaProps, value: &Value) {
        if value.is_null() {
            // The apiserver replaces null by the default, where there is one.
            if schema.nullable != Some(true) && schema.default.is_none() {
                self.report("must not be null");
            }
            return;
        }
        let found_before = self.found.len();
        match (schema.type_.as_deref(), value) {
            (Some("object"), Value::Object(fields)) => self.object(schema, fields),
            (Some("array"), Value::Array(elements)) => self.array(schema, elements),
            (Some("string"), Value::String(text)) => self.text(schema, text),
            (Some("integer"), Value::Number(number)) => self.integer(schema, number),
            (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("string"), Value::Number(_) | Value::Bool(_)) => {
                self.report(format!("{value} is {}, but must be a string: quote it", name_of(value)));
            }
            (Some(wanted), _) => self.report(format!("must be {wanted}, but is {}", name_of(value))),
        }
        // The rules rely on the types.
        if self.found.len() == found_before {
            self.rules(schema, value);
        }
    }

    fn object(&mut self, schema: &JSONSchemaProps, fields: &Map<String, Value>) {
        for name in schema.required.iter().flatten().filter(|name| !fields.contains_key(*name)) {
            self.field(name, |check| check.report("is missing"));
        }
        let Some(properties) = &schema.properties else { return };
        for (name, value) in fields {
            match properties.get(name) {
                Some(property) => self.field(name, |check| check.value(property, value)),
                None if schema.x_kubernetes_preserve_unknown_fields == Some(true) => {}
                None => {
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    self.field(name, |check| {
                        check.report(format!("unknown field; known fields: {}", known.join(", ")));
                    });
                }
            }
        }
    }

    fn array(&mut self, schema: &JSONSchemaProps, elements: &[Value]) {
        if schema.max_items.is_some_and(|most| over(elements.len(), most)) {
            self.report(format!("has more than {} elements", schema.max_items.unwrap_or_default()));
        }
        let Some(JSONSchemaPropsOrArray::Schema(each)) = &schema.items else { return };
        for (index, element) in elements.iter().enumerate() {
            self.within(Step::Element(index), |check| check.value(each, element));
        }
    }

    fn text(&mut self, schema: &JSONSchemaProps, text: &str) {
        let length = text.chars().count();
        if let Some(allowed) = &schema.enum_ {
            if !allowed.iter().any(|one| one.0 == text) {
                let allowed: Vec<&str> = allowed.iter().filter_map(|one| one.0.as_str()).collect();
                self.report(format!("{text:?} must be one of {}", allowed.join(", ")));
            }
        } else if length == 0 && schema.min_length.is_some_and(|least| least > 0) {
            self.report("is empty");
        } else if schema.max_length.is_some_and(|most| over(length, most)) {
            self.report(format!("is longer than {} characters", schema.max_length.unwrap_or_default()));
        } else if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !matches(pattern, text)) {
            self.report(format!("{text:?} {}", expectation(pattern, schema)));
        } else if schema.format.as_deref() == Some("date") && text.parse::<jiff::civil::Date>().is_err() {
            self.report(format!("{text:?} is not a day of the calendar"));
        }
    }

    fn integer(&mut self, schema: &JSONSchemaProps, number: &serde_json::Number) {
        match number.as_f64() {
            Some(value) if !number.is_f64() => {
                if schema.minimum.is_some_and(|least| value < least) {
                    self.report(format!("is below {}", schema.minimum.unwrap_or_default()));
                }
            }
            _ => self.report("must be a whole number"),
        }
    }

    fn rules(&mut self, schema: &JSONSchemaProps, value: &Value) {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            if rules::of(&rule.rule).is_none_or(|holds| holds(value)) {
                continue;
            }
            let message = rule.message.clone().unwrap_or_else(|| rule.rule.clone());
            let inner =
                rule.field_path.iter().flat_map(|path| path.split('.')).filter(|step| !step.is_empty());
            let depth = self.path.len();
            self.path.extend(inner.map(|step| Step::Field(step.into())));
            self.report(message);
            self.path.truncate(depth);
        }
    }
}

fn over(count: usize, most: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count > most)
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What the pattern asks for, in words where there are some.
fn expectation(pattern: &str, schema: &JSONSchemaProps) -> String {
    if pattern == tenios_api::PhoneNumber::PATTERN {
        return tenios_api::phone_number::NotE164.to_string();
    }
    let example = schema.example.as_ref().and_then(|example| example.0.as_str());
    let example = example.map(|example| format!(", such as {example}")).unwrap_or_default();
    format!("does not match {pattern}{example}")
}
