# One machine that runs every process. Terraform's built-in provider only: what is rendered comes out as outputs.

module "settings" {
  source = "../../modules/settings"

  ae_title          = var.ae_title
  completeness      = var.completeness
  gateway_processes = var.gateway_processes
  ledger_url        = var.ledger_url
  listen_address    = var.listen_address
  peers             = var.peers
  ports             = var.ports
  region            = var.region
  routes            = var.routes
  site_name         = var.site_name
  store_path        = local.store_path
  uid_root          = var.uid_root
}

module "units" {
  source = "../../modules/units"

  group           = var.group
  home            = var.home
  install_path    = var.install_path
  listening_ports = [var.ports.dicom, var.ports.hl7]
  memory_max      = var.memory_max
  store_path      = local.store_path
  user            = var.user
}

locals {
  store_path = coalesce(var.storage_path, "${var.home}/store")
}

# The state tells when what the machine should hold has changed.
resource "terraform_data" "machine" {
  input = {
    region   = var.region
    settings = sha256(module.settings.text)
    units    = sha256(jsonencode(module.units.units))
  }

  lifecycle {
    precondition {
      condition     = length(distinct([for port in values(var.ports) : port])) == length(values(var.ports))
      error_message = "ports: expected a port of its own for every process."
    }
  }
}
