# Renders the systemd units of one machine.

locals {
  writable = join(" ", distinct([var.home, var.store_path]))

  # A port below 1024 needs this one capability; otherwise the process has none.
  capability = min(var.listening_ports...) < 1024 ? "CAP_NET_BIND_SERVICE" : ""

  facts = {
    user       = var.user
    group      = var.group
    home       = var.home
    radloop    = "${var.install_path}/bin/radloop"
    writable   = local.writable
    capability = local.capability
    memory_max = var.memory_max
    sandbox    = local.sandbox
  }

  sandbox = trimspace(templatefile("${path.module}/sandbox.tftpl", {
    user       = var.user
    group      = var.group
    writable   = local.writable
    capability = local.capability
  }))

  names = toset([
    "radloop-init.service",
    "radloop.service",
    "radloop-audit.service",
    "radloop-audit.timer",
  ])

  units = { for name in local.names : name => templatefile("${path.module}/${name}.tftpl", local.facts) }
}
