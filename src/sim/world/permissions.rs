//! Application permissions of Microsoft Graph: real ids.

use crate::domain::EntraObjectId;

/// Name and app role id of each permission that the simulator knows.
pub const PERMISSIONS: [(&str, &str); 17] = [
    ("Organization.Read.All", "498476ce-e0fe-48b0-b801-37ba7e2685c6"),
    ("LicenseAssignment.Read.All", "e2f98668-2877-4f38-a2f4-8202e0717aa1"),
    ("LicenseAssignment.ReadWrite.All", "5facf0c1-8979-4e95-abcf-ff3d079771c0"),
    ("Domain.Read.All", "dbb9058a-0e50-45d7-ae91-66909b5d4664"),
    ("Domain.ReadWrite.All", "7e05723c-0bb0-42da-be95-ae9f08a6e53c"),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
    ("User.ReadWrite.All", "741f803b-c850-494e-b5df-cde7c675a1ca"),
    ("User.DeleteRestore.All", "eccc023d-eccf-4e7b-9683-8813ab36cecc"),
    ("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ("Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
    ("RoleManagement.Read.Directory", "483bed4a-2ad3-4361-a73b-c83ccdbdc53c"),
    ("TeamsTelephoneNumber.Read.All", "39b17d18-680c-41f4-b9c2-5f30629e7cb6"),
    ("TeamsTelephoneNumber.ReadWrite.All", "0a42382f-155c-4eb1-9bdc-21548ccaa387"),
    ("TeamsUserConfiguration.Read.All", "a91eadaf-2c3c-4362-908b-fb172d208fc6"),
    ("TeamsPolicyUserAssign.ReadWrite.All", "1801e8f4-cf09-4c4e-a1b5-036dfcca6c90"),
    ("AppCatalog.Read.All", "e12dae10-5a57-4817-b79d-dfbec5348930"),
    ("TeamsAppInstallation.ReadForUser.All", "9ce09611-f4f7-4abd-a629-a05450422a97"),
];

/// The app role id of a permission, by its name or by the id itself.
pub fn app_role(permission: &str) -> Option<EntraObjectId> {
    let id = PERMISSIONS.iter().find(|(name, _)| *name == permission).map_or(permission, |(_, id)| id);
    id.parse().ok()
}
