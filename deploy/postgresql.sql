-- Rights of the writers' role disrupt and the nodes' role disrupt_match in the registry's database:
-- docs/fleet.md. Run it by a superuser, in that database.

-- To clear tables and log of what was withdrawn, and to end nodes' sessions that are in its way.
GRANT pg_checkpoint, disrupt_match TO disrupt;
GRANT EXECUTE ON FUNCTION pg_switch_wal TO disrupt;

ALTER ROLE disrupt_match SET idle_in_transaction_session_timeout = '1min';
ALTER ROLE disrupt_match SET statement_timeout = '5min';

-- Nodes write nothing, and take none of the writers' locks.
REVOKE TEMP ON DATABASE disrupt FROM PUBLIC;
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE proname ~ '^(lo_|lowrite$)' LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
  END LOOP;
  FOR f IN
    SELECT oid FROM pg_proc
    WHERE proname ~ '^pg_((try_)?advisory_(xact_)?lock|logical_emit_message$)'
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT ALL ON FUNCTION %s TO disrupt', f);
  END LOOP;
END $$;
