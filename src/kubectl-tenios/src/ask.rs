//! Asking before something that can't be taken back.

use std::io::BufRead;

use super::Failure;

/// Ok once a person said yes, here or with `--yes`.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    eprint!("{question}\nType yes to continue: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::failed)?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::failed("nothing was changed; --yes skips this question"))
}
