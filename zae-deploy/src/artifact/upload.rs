//! Uploads packages to the bucket that they are deployed from.

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{BucketLocationConstraint, ChecksumAlgorithm, ChecksumMode, CreateBucketConfiguration},
};

use super::{Code, Package, Packages};
use crate::stack::{Cloud, CodeLocation, StackError, Watch};

/// The region in which buckets have no location constraint.
const FIRST_REGION: &str = "us-east-1";

/// Uploads the packages that the bucket does not have yet, and returns their location.
pub(crate) async fn upload(
    cloud: &Cloud,
    packages: &Packages,
    watch: &dyn Watch,
) -> Result<Option<CodeLocation>, StackError> {
    let Some(both) = &packages.0 else { return Ok(None) };
    let account = cloud.account().await?;
    // The account in the name keeps others from taking it, and the expected owner in every request detects it if they
    // do.
    let bucket = format!("zae-deploy-{account}-{}", cloud.region());
    let store = Bucket { client: cloud.s3(), name: bucket, owner: account };
    store.ensure(cloud.region()).await?;
    let packed = pack("aggregator", &both.aggregator, watch).await?;
    let aggregator = store.ensure_object("aggregator", &packed, watch).await?;
    let packed = pack("provisioner", &both.provisioner, watch).await?;
    let provisioner = store.ensure_object("provisioner", &packed, watch).await?;
    let architecture = both.architecture.as_str();
    Ok(Some(CodeLocation { bucket: store.name, aggregator, provisioner, architecture }))
}

/// Builds the package of a function. Yields while packing, so that Ctrl-C can end it.
async fn pack(function: &str, code: &Code, watch: &dyn Watch) -> Result<Package, StackError> {
    let (binary, packed) = match code {
        Code::Packed(package) => return Ok(package.clone()),
        Code::Binary(binary, packed) => (binary, packed),
    };
    if let Some(package) = packed.get() {
        return Ok(package.clone());
    }
    let label = format!("Packing the {function}");
    watch.step(&format!("{label} ({:.1} KB)", binary.len() as f64 / 1024.0));
    let mut packing = binary.packing()?;
    while packing.step()? {
        watch.progress(&label, packing.percent());
        tokio::task::yield_now().await;
    }
    watch.progress(&label, packing.percent());
    let package = packing.finish()?;
    Ok(packed.get_or_init(|| package).clone())
}

struct Bucket {
    client: aws_sdk_s3::Client,
    name: String,
    owner: String,
}

impl Bucket {
    /// Creates the bucket if it is missing. New buckets are private and encrypted by default.
    async fn ensure(&self, region: &str) -> Result<(), StackError> {
        let head = self.client.head_bucket().bucket(&self.name).expected_bucket_owner(&self.owner).send().await;
        match head {
            Ok(_) => return Ok(()),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(StackError::from_sdk("s3:ListBucket", error)),
        }
        let mut request = self.client.create_bucket().bucket(&self.name);
        if region != FIRST_REGION {
            let place = BucketLocationConstraint::from(region);
            request = request
                .create_bucket_configuration(CreateBucketConfiguration::builder().location_constraint(place).build());
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            Err(error) => Err(StackError::from_sdk("s3:CreateBucket", error)),
        }
    }

    /// Uploads `package` unless it exists. An existing object is trusted by the checksum that S3 computed on arrival,
    /// not by its name, and replaced otherwise. Returns its key.
    async fn ensure_object(&self, function: &str, package: &Package, watch: &dyn Watch) -> Result<String, StackError> {
        let key = format!("{function}/{}.zip", package.sha256());
        let head = self.client.head_object().bucket(&self.name).key(&key).expected_bucket_owner(&self.owner);
        let checksum = package.sha256_base64();
        match head.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(found) if found.checksum_sha256() == Some(checksum.as_str()) => return Ok(key),
            Ok(found) if found.checksum_sha256().is_some() => watch.warn(&format!(
                "s3://{}/{key} is not the package that its name says, and is replaced: find out who may write to \
                 the bucket",
                self.name
            )),
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(StackError::from_sdk("s3:GetObject", error)),
        }
        watch.step(&format!("Uploading the {function} ({:.1} KB)", package.bytes().len() as f64 / 1024.0));
        let put = self.client.put_object().bucket(&self.name).key(&key).expected_bucket_owner(&self.owner);
        let put = put
            .content_type("application/zip")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(checksum)
            .body(ByteStream::from(package.bytes().to_vec()));
        put.send().await.map_err(|error| StackError::from_sdk("s3:PutObject", error))?;
        Ok(key)
    }
}

/// Responses to HEAD have no body, and therefore no error code other than their status.
fn is_missing<E>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 404)
}
