//! Who takes service away says how much: the number of actions is typed, or given by `--count`.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use anyhow::{Context as _, ensure};
use teams_connector_operator::api::{Decision, RunType, UserSyncRunSpec};

/// Compares the number of actions with what somebody says it is. A Connect run takes nothing away and needs no word.
pub(super) fn confirm(run: &UserSyncRunSpec, decision: Decision, count: Option<usize>) -> anyhow::Result<()> {
    let said = match (count, run.run_type) {
        (None, RunType::Connect) => return Ok(()),
        (Some(count), _) => count,
        (None, RunType::Disconnect) => ask(decision)?,
    };
    compare(said, run.actions.len())
}

fn compare(said: usize, size: usize) -> anyhow::Result<()> {
    ensure!(said == size, "the run has {size} actions, not {said}: nothing was decided; look at it again");
    Ok(())
}

fn ask(decision: Decision) -> anyhow::Result<usize> {
    let input = io::stdin();
    ensure!(
        input.is_terminal(),
        "the run takes service away and there is no terminal to ask on: give the number of its actions by --count N"
    );
    let verb = match decision {
        Decision::Approve => "approve",
        Decision::Deny => "deny",
    };
    write!(io::stderr(), "\nType the number of actions to {verb} them: ")?;
    typed(&mut input.lock())
}

fn typed(input: &mut impl BufRead) -> anyhow::Result<usize> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let answer = line.trim();
    answer.parse().ok().with_context(|| format!("{answer:?} is not a number of actions: nothing was decided"))
}

#[cfg(test)]
mod tests {
    use super::{compare, typed};

    /// S17: only the right number goes on.
    #[test]
    fn the_number_is_typed_as_a_number() {
        assert_eq!(typed(&mut &b" 14 \n"[..]).unwrap(), 14);
        for wrong in ["", "\n", "yes\n", "-1\n", "14 users\n", "1.5\n"] {
            let error = typed(&mut wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.ends_with("nothing was decided"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn a_wrong_number_is_refused_with_the_right_one() {
        compare(14, 14).unwrap();
        let error = compare(13, 14).unwrap_err().to_string();
        assert_eq!(error, "the run has 14 actions, not 13: nothing was decided; look at it again");
    }
}
