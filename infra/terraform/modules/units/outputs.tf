output "units" {
  description = "The text of every unit, by its file name."
  value       = local.units
}
