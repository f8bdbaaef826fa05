# Renders radloop.toml. JSON's strings, numbers and arrays of strings are TOML's too (TOML 1.0, "String" and "Array").

locals {
  fixed = {
    gateway = {
      ae_title   = var.ae_title
      host       = var.listen_address
      dicom_port = var.ports.dicom
      hl7_port   = var.ports.hl7
      processes  = var.gateway_processes
    }
    completeness = var.completeness
    site = {
      name     = var.site_name
      uid_root = var.uid_root
      timezone = var.region
    }
    ledger    = { url = var.ledger_url }
    store     = { path = var.store_path }
    inference = { port = var.ports.inference }
    prefect   = { port = var.ports.prefect }
    mlflow    = { port = var.ports.mlflow }
    console   = { port = var.ports.console }
  }

  tables = merge(local.fixed, { for name, peer in var.peers : "peers.${name}" => peer })

  table_texts = [
    for name, table in local.tables : join("\n", concat(
      ["[${name}]"],
      [for key, value in table : "${key} = ${jsonencode(value)}" if value != null],
    ))
  ]

  route_texts = [
    for route in var.routes : join("\n", [
      "[[routes]]",
      "models = ${jsonencode(route.models)}",
      "when = { ${join(", ", [for key, patterns in route.when : "${key} = ${jsonencode(patterns)}" if patterns != null])} }",
    ])
  ]

  text = join("\n\n", concat(
    ["# Rendered by Terraform (infra/terraform/sites/single-host): change it there."],
    local.table_texts,
    local.route_texts,
    [""],
  ))
}
