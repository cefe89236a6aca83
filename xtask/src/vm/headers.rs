//! The headers of a kernel, which BCC compiles its programs with.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::apt::Apt;
use super::kernel::{self, Series};

/// A directory for `/usr/src`, with the headers of the kernel that was fetched; fetched unless they are there from before.
///
/// # Errors
/// The archive has them no more: it moved on to a newer kernel.
pub(super) fn fetch(series: Series) -> Result<PathBuf> {
    let directory = series.directory()?;
    let headers = directory.join("headers");
    if headers.is_dir() {
        return Ok(headers);
    }
    let image = kernel::files(&directory, is_image)?;
    let image =
        image.first().and_then(|path| path.file_name()).context("there is no kernel to fetch headers for")?;
    let packages = packages(&image.to_string_lossy()).context("the kernel's package has an unknown name")?;
    let apt = Apt::of(&directory, series.suite())?;
    apt.update()?;
    let debs = directory.join("headers.debs");
    let tree = directory.join("headers.tree");
    for old in [&debs, &tree] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir(&debs)?;
    apt.download(&packages.each_ref().map(String::as_str), &debs)?;
    kernel::extract(&debs, &tree)?;
    fs::remove_dir_all(&debs)?;
    fs::rename(tree.join("usr/src"), &headers).context("the packages have no headers")?;
    fs::remove_dir_all(&tree)?;
    Ok(headers)
}

fn is_image(name: &str) -> bool {
    name.ends_with(".deb") && (name.starts_with("linux-image-") || name.starts_with("linux-binary-"))
}

/// The packages of the headers, by the file of the image's package: those of the architecture, and those of all.
fn packages(image: &str) -> Option<[String; 2]> {
    let (name, _) = image.split_once('_')?;
    let release = name.strip_prefix("linux-image-").or_else(|| name.strip_prefix("linux-binary-"))?;
    let common = release.strip_suffix("-cloud-amd64")?;
    Some([format!("linux-headers-{release}"), format!("linux-headers-{common}-common")])
}

#[cfg(test)]
mod tests {
    use super::packages;

    #[test]
    fn headers_are_those_of_the_image() {
        let of = |image: &str| packages(image).unwrap_or_default();
        assert_eq!(
            of("linux-image-6.1.0-50-cloud-amd64_6.1.176-1_amd64.deb"),
            ["linux-headers-6.1.0-50-cloud-amd64", "linux-headers-6.1.0-50-common"]
        );
        assert_eq!(
            of("linux-binary-7.2.13+deb14-cloud-amd64_7.2.13-1_amd64.deb"),
            ["linux-headers-7.2.13+deb14-cloud-amd64", "linux-headers-7.2.13+deb14-common"]
        );
        assert_eq!(packages("linux-image-rt-amd64"), None);
    }
}
