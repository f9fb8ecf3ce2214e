//! What GoTo lets the operator do, and where calls go.

use super::WorldEdit;
use crate::domain::AccountKey;
use crate::sim::world::{GotoSide, Refusal, World};

impl World {
    pub(super) fn edit_goto(&mut self, edit: WorldEdit) -> Result<(), Refusal> {
        match edit {
            WorldEdit::SetAdminRoles { user, roles } => self.goto_user_mut(&user)?.admin_roles = roles,
            WorldEdit::RouteNumber { number, user } => self.route(&number, user.as_deref())?,
            WorldEdit::RemoveGotoScope { scope } => self.goto.remove_scope(&scope),
            WorldEdit::GrantGotoScope { scope } => self.goto.grant_scope(&scope),
            WorldEdit::SetGotoAccountAccess { account, granted } => {
                let account = self.account_or_first(account)?;
                self.goto.set_access(&account, granted);
            }
            WorldEdit::SetGotoGrantsRevoked { revoked } => {
                let goto = &mut self.goto;
                let grants = goto.refresh_tokens.values_mut().chain(goto.personal_access_tokens.values_mut());
                grants.for_each(|grant| grant.revoked = revoked);
            }
            _ => self.goto.refresh_tokens.values_mut().for_each(|grant| grant.rotate_next = true),
        }
        Ok(())
    }
}

impl GotoSide {
    /// New tokens come without the scope, and those that are out lose it.
    fn remove_scope(&mut self, scope: &str) {
        let clients = self.clients.values_mut().map(|client| &mut client.scopes);
        for scopes in clients.chain(self.access_tokens.values_mut().map(|token| &mut token.scopes)) {
            scopes.remove(scope);
        }
    }

    fn grant_scope(&mut self, scope: &str) {
        for client in self.clients.values_mut() {
            client.scopes.insert(scope.to_owned());
        }
        let grants = self.refresh_tokens.values().chain(self.personal_access_tokens.values());
        let consented = grants.filter(|grant| grant.scopes.contains(scope)).map(|grant| &grant.user);
        let users: Vec<_> = consented.cloned().collect();
        for token in self.access_tokens.values_mut().filter(|token| users.contains(&token.user)) {
            token.scopes.insert(scope.to_owned());
        }
    }

    fn set_access(&mut self, account: &AccountKey, granted: bool) {
        let grants = self.refresh_tokens.values_mut().chain(self.personal_access_tokens.values_mut());
        let reached = grants.map(|grant| &mut grant.accounts);
        for accounts in reached.chain(self.access_tokens.values_mut().map(|token| &mut token.accounts)) {
            accounts.retain(|it| it != account);
            accounts.extend(granted.then(|| account.clone()));
        }
    }
}
