//! What `doctor` says of images: the base, the types, the registry, the bootstrap's tools.

use crate::docker::DockerRuntime;
use crate::engine::view::{Finding, FindingLevel};

use super::base;

impl DockerRuntime {
    pub(in crate::docker) async fn diagnose_images(&self) -> Vec<Finding> {
        vec![self.diagnose_base().await, self.diagnose_registry().await]
    }

    async fn diagnose_base(&self) -> Finding {
        let finding = |level, text: String, mend: Option<&str>| Finding {
            subject: "base image".to_owned(),
            level,
            text,
            mend: mend.map(str::to_owned),
        };
        match self.has_image(base::TAG).await {
            Ok(true) => finding(FindingLevel::Ok, format!("{} is there", base::TAG), None),
            Ok(false) if has_mmdebstrap().await => {
                let text = "the first build makes it (pulled, or from Debian's packages in about 20 s)";
                finding(FindingLevel::Ok, text.to_owned(), None)
            }
            Ok(false) => {
                let text = "it is missing, and without mmdebstrap it can only be pulled";
                let mend = "apt-get install mmdebstrap debian-archive-keyring, or make a registry reachable";
                finding(FindingLevel::Warning, text.to_owned(), Some(mend))
            }
            Err(error) => finding(FindingLevel::Error, error.to_string(), Some("see the finding on the engine")),
        }
    }

    async fn diagnose_registry(&self) -> Finding {
        let unreachable = base::remembered(&self.unreachable_mark()).await;
        let text = match unreachable {
            true => "no registry answered lately; images are made from Debian's packages and none is asked for a day",
            false => "a registry is asked for the base image when it is missing",
        };
        let mend = unreachable.then(|| format!("remove {} to ask again", self.unreachable_mark().display()));
        Finding { subject: "registry".to_owned(), level: FindingLevel::Ok, text: text.to_owned(), mend }
    }
}

async fn has_mmdebstrap() -> bool {
    let version = tokio::process::Command::new("mmdebstrap").arg("--version").output().await;
    version.is_ok_and(|output| output.status.success())
}
