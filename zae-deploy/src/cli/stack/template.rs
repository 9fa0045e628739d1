//! `cfn-template`: prints the template, for deployments by other tools.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{
    cli::{
        CliError, Context,
        output::{Page, Report, write_all},
    },
    template::{TEMPLATE, terraform},
};

/// The tool for which the template is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// The template itself, in YAML
    #[default]
    Cloudformation,
    /// A Terraform module around it: a variable per parameter, an output per output
    Terraform,
}

/// Prints the CloudFormation template that `deploy` uses, for deployments by other tools. Works offline.
#[derive(Args, Debug)]
#[command(after_help = "\
Deploying it with the AWS CLI:
  zae-deploy cfn-template > template.yaml
  aws cloudformation deploy \\
      --template-file template.yaml --stack-name limiter \\
      --parameter-overrides SnapshotRetentionDays=90 EnablePITR=true \\
      --capabilities CAPABILITY_NAMED_IAM
  zae-deploy lambda-export --output lambda.zip
  aws lambda update-function-code \\
      --function-name limiter-aggregator --zip-file fileb://lambda.zip

Deploying it with Terraform:
  zae-deploy cfn-template --format terraform --file limiter/main.tf

The function starts as a Python placeholder that fails, because CloudFormation takes inline code for no other runtime \
that
fits; the exported code replaces it. Export the provisioner the same way: lambda-export --function provisioner, and
limiter-limits-provisioner. With the packages in a bucket of yours neither is needed: give the parameters CodeBucket,
AggregatorCodeKey and ProvisionerCodeKey.")]
pub(crate) struct CfnTemplate {
    /// Write to this file, as `--output FILE` does; use ./json for a file named like a format
    #[arg(short = 'o', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The tool that deploys it
    #[arg(long, value_enum, default_value_t = Tool::Cloudformation)]
    format: Tool,
}

#[derive(Serialize)]
struct Written {
    file: String,
}

impl Report for Written {
    fn page(&self, page: &mut Page) {
        page.line(format!("✓ Template exported to: {}", self.file));
    }
}

impl CfnTemplate {
    pub(super) fn run(self, cx: &Context) -> Result<(), CliError> {
        // The template is a document of its own, independent of the format of results.
        let text = match self.format {
            Tool::Cloudformation => TEMPLATE.to_owned(),
            Tool::Terraform => terraform(),
        };
        let Some(path) = self.file.as_deref().or(cx.output_file()) else { return write_all(&text) };
        std::fs::write(path, text)
            .map_err(|error| CliError::failed(format!("write the template to {}", path.display()), error))?;
        cx.output().show(&Written { file: path.display().to_string() })
    }
}
