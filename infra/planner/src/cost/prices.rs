//! List prices of AWS in us-east-1, in USD, without discounts, free tiers and taxes. The only place that has any.
//!
//! Other regions are a little dearer. Look here before you promise anybody a number:
//! <https://aws.amazon.com/api-gateway/pricing/>, <https://aws.amazon.com/lambda/pricing/>,
//! <https://aws.amazon.com/dynamodb/pricing/on-demand/>, <https://aws.amazon.com/ec2/pricing/on-demand/> (transfer).

/// When the prices were collected.
pub(super) const AS_OF: &str = "2026-11-22";

/// A WebSocket message of up to 32 KB, in or out.
pub(super) const MESSAGE: f64 = 1.00 / 1e6;
/// A WebSocket message beyond a thousand million a month.
pub(super) const MESSAGE_ABOVE: f64 = 0.80 / 1e6;
/// Messages a month beyond which the lower price holds.
pub(super) const MESSAGE_TIER: f64 = 1e9;
/// A minute of an open WebSocket, idle or not.
pub(super) const CONNECTION_MINUTE: f64 = 0.25 / 1e6;
/// A request to an HTTP API.
pub(super) const HTTP_REQUEST: f64 = 1.00 / 1e6;
/// An invocation.
pub(super) const LAMBDA_REQUEST: f64 = 0.20 / 1e6;
/// A gigabyte of memory for a second, on arm64.
pub(super) const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
/// A write of up to 1 KB; in a transaction two of them.
pub(super) const WRITE: f64 = 0.625 / 1e6;
/// A strongly consistent read of up to 4 KB; otherwise half of one.
pub(super) const READ: f64 = 0.125 / 1e6;
/// A gigabyte written to CloudWatch Logs.
pub(super) const LOG_GB: f64 = 0.50;
/// A gigabyte to the internet, beyond the first hundred a month.
pub(super) const TRANSFER_GB: f64 = 0.09;
/// Gigabytes a month that leave for nothing.
pub(super) const TRANSFER_FREE_GB: f64 = 100.0;
