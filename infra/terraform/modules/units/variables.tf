# The site validates these; here they are only typed.

variable "group" {
  description = "System group that the processes run as."
  type        = string
}

variable "home" {
  description = "Folder that holds everything (RADLOOP_HOME)."
  type        = string
}

variable "install_path" {
  description = "Virtual environment that holds bin/radloop."
  type        = string
}

variable "listening_ports" {
  description = "Ports that we listen on."
  type        = list(number)
}

variable "memory_max" {
  description = "Memory that all processes together may take."
  type        = string
}

variable "store_path" {
  description = "Folder of the encrypted store."
  type        = string
}

variable "user" {
  description = "System user that the processes run as."
  type        = string
}
