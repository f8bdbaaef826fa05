"""The priority upgrade: HL7 v2.5.1 ORM^O01, or OMI^O23 where the site says so."""

from integrations.objects.orm.encode import ENCODER

__all__ = ["ENCODER"]
