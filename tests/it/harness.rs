//! One control plane for the whole binary, a namespace for each test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;
use teams_connector_operator::devenv::chart;
use teams_connector_operator::devenv::control_plane::ControlPlane;
use teams_connector_operator::devenv::environment::{Environment, Setup};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// The control plane with our CRDs.
static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
static NAMESPACES: AtomicU32 = AtomicU32::new(0);
/// So many environments run at a time, however many one test plays side by side: on a machine of two cores more of them would only
/// wait for each other. It is more than there are tests at a time, so that a test with two of them does not wait for ever.
static PLACES: Semaphore = Semaphore::const_new(8);

/// An environment that has one of the places.
pub(crate) struct Placed {
    environment: Environment,
    _place: SemaphorePermit<'static>,
}

impl std::ops::Deref for Placed {
    type Target = Environment;

    fn deref(&self) -> &Environment {
        &self.environment
    }
}

/// The control plane that all tests of this binary share, with the CRDs of the chart; it ends with the process.
pub(crate) async fn control_plane() -> &'static ControlPlane {
    CONTROL_PLANE.get_or_init(start_control_plane).await
}

async fn start_control_plane() -> ControlPlane {
    let plane = ControlPlane::start(&run_directory().join("control-plane"), &|_, _| ()).await.unwrap();
    let release = chart::render(plane.programs(), "default", &json!({})).await.unwrap();
    release.apply_crds(&plane.admin().await.unwrap()).await.unwrap();
    plane
}

/// A namespace of its own with a simulator and the chart; the operator is not started yet.
pub(crate) async fn prepare(name: &str) -> Placed {
    prepare_with(name, |_| ()).await
}

/// The same with changes of the set-up: flags of the simulator, proxies, values.
pub(crate) async fn prepare_with(name: &str, change: impl FnOnce(&mut Setup)) -> Placed {
    let place = PLACES.acquire().await.unwrap();
    let namespace = new_namespace(name).await;
    let mut setup = Setup::new(&namespace, &run_directory().join(&namespace));
    setup.simulator.extend(["--seed".to_owned(), seed().to_string()]);
    change(&mut setup);
    let environment = Environment::prepare(control_plane().await, setup).await.unwrap();
    Placed { environment, _place: place }
}

/// Seeds vary by run; `IT_SEED` replays one. A wait that fails names the seed.
fn seed() -> u64 {
    std::env::var("IT_SEED").map_or_else(|_| rand::random_range(1..1_000_000), |seed| seed.parse().unwrap())
}

/// Where this run keeps its logs; those of earlier runs are removed.
pub(crate) fn run_directory() -> PathBuf {
    static DIRECTORY: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    DIRECTORY.get_or_init(make_run_directory).clone()
}

fn make_run_directory() -> PathBuf {
    let parent = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("it");
    std::fs::create_dir_all(&parent).unwrap();
    for entry in std::fs::read_dir(&parent).unwrap() {
        let old = entry.unwrap();
        let pid = old.file_name().into_string().unwrap();
        if !PathBuf::from("/proc").join(&pid).exists() {
            std::fs::remove_dir_all(old.path()).unwrap();
        }
    }
    let mine = parent.join(std::process::id().to_string());
    std::fs::create_dir_all(&mine).unwrap();
    mine
}

/// A namespace that no other test uses.
pub(crate) async fn new_namespace(name: &str) -> String {
    let name = format!("{name}-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
    let namespaces: Api<Namespace> = Api::all(control_plane().await.admin().await.unwrap());
    let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
    namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await.unwrap();
    name
}

/// Applies YAML documents as the administrator.
pub(crate) async fn apply(namespace: &str, yaml: &str) {
    let client = control_plane().await.admin().await.unwrap();
    chart::apply(&client, &chart::parse(yaml).unwrap(), namespace).await.unwrap();
}

/// The folder of the package.
pub(crate) fn package() -> &'static std::path::Path {
    teams_connector_operator::devenv::programs::package()
}
