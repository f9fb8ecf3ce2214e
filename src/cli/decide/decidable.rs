//! Whether a run waits for a decision, and what to do instead if not.

use anyhow::bail;
use kube::ResourceExt as _;
use teams_connector_operator::api::{RunState, UserSyncRun};

use super::{past, text};

/// Refuses a run that is decided, goes on or has ended.
pub(super) fn check(run: &UserSyncRun) -> anyhow::Result<()> {
    let name = run.name_any();
    if let Some(decision) = run.spec.decision {
        let by = run.spec.decided_by.as_deref().map(|by| format!(" by {}", text::plain(by))).unwrap_or_default();
        bail!(
            "{name} is {} already{by}; a decision is made once: to decide otherwise, edit the policy or delete the run, \
             and a new run follows",
            past(decision)
        );
    }
    match run.status.as_ref().and_then(|status| status.state) {
        Some(RunState::AwaitingApproval) => Ok(()),
        None => bail!("{name} has no state yet, for the operator has not looked at it: try again in a moment"),
        Some(RunState::Running) => bail!(
            "{name} is being carried out and waits for no decision: to hold it, set suspend of the policy {}",
            run.spec.policy_ref.name
        ),
        Some(ended) => bail!(
            "{name} has ended ({ended:?}) and is not decided any more: `kubectl -n {} get usersyncruns` lists what waits",
            run.namespace().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use teams_connector_operator::api::{Decision, RunState};

    use super::check;
    use crate::cli::decide::text::samples::disconnect;

    fn refusal(change: impl FnOnce(&mut super::UserSyncRun)) -> String {
        let mut run = disconnect();
        change(&mut run);
        check(&run).unwrap_err().to_string()
    }

    fn in_state(state: Option<RunState>) -> String {
        refusal(|run| run.status.as_mut().unwrap().state = state)
    }

    #[test]
    fn a_waiting_run_can_be_decided() {
        check(&disconnect()).unwrap();
    }

    /// R6: one decision for one run.
    #[test]
    fn a_decided_run_names_who_decided_and_the_way_out() {
        let text = refusal(|run| {
            run.spec.decision = Some(Decision::Deny);
            run.spec.decided_by = Some("joao".to_owned());
        });
        assert!(text.starts_with("head-office-8fc163ab-1 is denied already by joao;"), "{text}");
        assert!(text.contains("edit the policy or delete the run"), "{text}");
    }

    /// R6: what is superseded, denied or done cannot be approved.
    #[test]
    fn every_other_state_says_what_to_do() {
        use RunState::{Applied, Denied, Failed, PartiallyApplied, Superseded};
        for state in [Applied, PartiallyApplied, Failed, Denied, Superseded] {
            let text = in_state(Some(state));
            assert!(text.contains(&format!("has ended ({state:?})")), "{text}");
            assert!(text.contains("kubectl -n telephony get usersyncruns"), "{text}");
        }
        assert!(in_state(Some(RunState::Running)).ends_with("set suspend of the policy head-office"));
        assert!(in_state(None).ends_with("try again in a moment"));
    }
}
