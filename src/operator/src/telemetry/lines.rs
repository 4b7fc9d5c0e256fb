//! What stands in a line of the log: however others' words look, one event is one line.
//!
//! A name in a Lease, an error of the apiserver, an order id of a push are written by others. A line end in one of
//! them would begin a line that looks like the operator's own, and other characters turn or hide what follows.

use std::fmt::{self, Debug, Write as _};
use std::io;

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::Layer;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::registry::LookupSpan;

use tenios_api::printable::is_unprintable;

/// Lines for people.
pub(super) fn text<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().fmt_fields(debug_fn(field).delimited(" ")).with_writer(writer)
}

/// One JSON object a line.
pub(super) fn json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
    json.with_current_span(true).with_span_list(false).with_writer(Ascii(writer))
}

fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let mut escaped = Escaped(writer);
    match field.name() {
        "message" => write!(escaped, "{value:?}"),
        name => write!(escaped, "{name}={value:?}"),
    }
}

/// Writes what is not to be seen as Rust writes it in a text.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unprintable(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// JSON leaves U+2028 and the like as they are in a text, and some programs take them for line ends.
struct Ascii<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Ascii<W> {
    type Writer = AsciiWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        AsciiWriter(self.0.make_writer())
    }
}

/// It is given a whole line at a time.
struct AsciiWriter<W>(W);

impl<W: io::Write> io::Write for AsciiWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let escaped = line.chars().fold(String::with_capacity(line.len()), |mut escaped, c| {
            if c == '\n' || !is_unprintable(c) {
                escaped.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            escaped
        });
        self.0.write_all(escaped.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock()).into_owned()
        }
    }

    const WORDS: &str = "a\nb\r\nc\u{85}d\u{2028}e\u{2029}f\u{202e}g\u{1b}[2Jh\u{b}i\u{e0041}j Köln \"k\"";

    /// As a span, a field and a message, as Display and as a text.
    fn log_it() {
        let span = tracing::info_span!("reconcile", resource = WORDS, attempt = %WORDS);
        let _entered = span.enter();
        tracing::info!(error = %WORDS, holder = WORDS, event = ?WORDS, "{WORDS} is the holder");
    }

    fn assert_one_line(log: &str) {
        let ends = ['\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\r', '\u{202e}', '\u{e0041}'];
        assert_eq!(log.lines().count(), 1, "{log:?}");
        assert!(!log.contains(ends) && !log.contains("\u{1b}[2J") && log.contains("Köln"), "{log:?}");
    }

    #[test]
    fn a_line_end_in_others_words_begins_no_line_of_the_log() {
        let log = Log::default();
        let writer = {
            let log = log.clone();
            move || log.clone()
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(text(writer)), log_it);
        assert_one_line(&log.text());
        assert!(
            log.text().contains("a\\nb\\r\\nc\\u{85}d\\u{2028}e")
                && log.text().contains("is the holder error=a"),
            "{}",
            log.text()
        );
    }

    #[test]
    fn json_keeps_others_words_within_its_line_and_readable() {
        let log = Log::default();
        let writer = {
            let log = log.clone();
            move || log.clone()
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(json(writer)), log_it);
        assert_one_line(&log.text());
        let line: serde_json::Value = serde_json::from_str(&log.text()).unwrap_or_default();
        assert_eq!(line["holder"], WORDS);
        assert_eq!(line["span"]["attempt"], WORDS);
        // The formatter writes the span's own name under `name`, beside a field that is called so.
        assert_eq!(line["span"]["resource"], WORDS);
        assert_eq!(log.text().matches("\"name\":").count(), 1, "{}", log.text());
    }
}
