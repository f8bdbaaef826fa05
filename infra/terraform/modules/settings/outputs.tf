output "text" {
  description = "The text of radloop.toml."
  value       = local.text
}
