//! Who decides, by the word of the API server.

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::PostParams;

use super::runs::said;
use crate::cli::cluster::Cluster;

/// The name of the user that the API server sees: what an admission policy compares with.
pub(super) async fn name(cluster: &Cluster) -> anyhow::Result<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.map_err(|error| {
        anyhow::anyhow!("the API server does not tell who you are ({}): say it by --by NAME", said(&error))
    })?;
    let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
    user.context("the API server does not tell who you are: say it by --by NAME")
}
