output "radloop_toml" {
  description = "radloop.toml: terraform output -raw radloop_toml > HOME/radloop.toml"
  value       = module.settings.text
}

output "units" {
  description = "The systemd units by file name: terraform output -json units"
  value       = module.units.units
}

output "digests" {
  description = "SHA-256 of what the machine should hold."
  value       = terraform_data.machine.output
}
