//! The regions in which SecMaster has an endpoint.

/// The regions of the vendor's SDK table (`secmaster_region`, 3.1.219), sorted.
pub const REGIONS: [&str; 28] = [
    "af-north-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-11",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-southwest-2",
    "cn-southwest-3",
    "eu-west-101",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "sa-brazil-1",
    "tr-west-1",
];

/// The regions in which IAM has an endpoint (`iam_region` of the same SDK), sorted; one is under
/// another domain.
const IAM_REGIONS: [&str; 28] = [
    "ae-ad-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-southwest-2",
    "eu-west-0",
    "eu-west-101",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "na-mexico-1",
    "ru-moscow-1",
    "sa-brazil-1",
    "tr-west-1",
];

/// IAM's endpoint for `region`; for a region without one the global one, as in the vendor's SDK.
pub fn iam_endpoint(region: &str) -> String {
    match IAM_REGIONS.binary_search(&region) {
        Ok(_) if region == "eu-west-101" => format!("https://iam.{region}.myhuaweicloud.eu"),
        Ok(_) => format!("https://iam.{region}.myhuaweicloud.com"),
        Err(_) => "https://iam.myhuaweicloud.com".to_owned(),
    }
}

/// The endpoint of `region`, if the vendor's table has the region.
pub fn endpoint(region: &str) -> Option<String> {
    REGIONS
        .binary_search(&region)
        .ok()
        .map(|_| format!("https://secmaster.{region}.myhuaweicloud.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_knows_its_hosts() {
        assert!(REGIONS.is_sorted());
        assert_eq!(
            endpoint("cn-north-4").as_deref(),
            Some("https://secmaster.cn-north-4.myhuaweicloud.com")
        );
        assert_eq!(endpoint("cn-north-44"), None);
    }
}
