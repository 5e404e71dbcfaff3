using Npgsql;

namespace Actors.Faults;

public interface IMisdeed : IWorkflow<string, string>;

/// <summary>Runs one body that does what no body may. What becomes of it is in its result; each call of the body is told to the outside
/// world.</summary>
public sealed class Misdeed(World world) : Workflow<string, string>, IMisdeed
{
    private const string Committed = "committed";

    // Its entry takes 200 ms, so that a time-out of the body's own would meet it.
    public const string Sql = """
        create table public.deeds (workflow text);
        create function slow_deed() returns trigger language plpgsql as $$ begin perform pg_sleep(0.2); return null; end $$;
        create trigger slow_deed after insert on actors.journal for each row when (new.name = 'deed') execute function slow_deed();
        """;

    /// <summary>Of each kind: words of its result, and rows that it leaves.</summary>
    public static readonly IReadOnlyDictionary<string, (string Words, long Rows)> Kinds = new Dictionary<string, (string, long)>
    {
        ["sets a time-out"] = (Committed, 1),
        ["sets a search path"] = (Committed, 1),
        ["makes it read only"] = ("made its transaction read only", 0),
        ["closes its connection"] = ("An error occurred while saving.", 0),
        ["goes on after an error"] = ("caught an error of Postgres and went on", 0),
        ["never returns"] = (nameof(TimeoutException), 0),
        ["returns too much"] = (nameof(PayloadTooLargeException), 0),
        ["throws what has no words"] = (nameof(Unspeakable), 0),
        ["is judged by what throws"] = ("plain", 0),
    };

    protected override async Task<string> RunAsync(string input)
    {
        var limit = TimeSpan.FromSeconds(input == "never returns" ? 0.5 : 10);
        var once = new TransactionOptions { Retry = Retry.None.WithAttemptTimeout(limit) };
        try
        {
            return input switch
            {
                "throws what has no words" => await Step("step", _ => ThrowAsync(new Unspeakable()), Retry.None),
                "is judged by what throws" => await Step("step", _ => ThrowAsync(new IOException("plain")), Judged),
                _ => await Transaction("deed", tx => DoAsync(tx, input), once),
            };
        }
        catch (StepFailedException error)
        {
            return $"{error.ErrorType}: {error.ErrorMessage}";
        }
    }

    private static Retry Judged => Retry.Exponential(3, TimeSpan.FromMilliseconds(1)).Only(_ => throw new Unspeakable());

    private Task ToldAsync() => world.TellAsync($"deed {Id.Id}", CancellationToken.None);

    private async Task<string> ThrowAsync(Exception error)
    {
        await ToldAsync();
        throw error;
    }

    private async Task<string> DoAsync(TransactionContext tx, string kind)
    {
        await ToldAsync();
        await ExecuteAsync(tx, $"insert into deeds values ('{Id.Id}')");
        switch (kind)
        {
            case "sets a time-out":
                await ExecuteAsync(tx, "set local statement_timeout = 100");
                break;
            case "sets a search path":
                await ExecuteAsync(tx, "set local search_path = nowhere");
                break;
            case "makes it read only":
                await ExecuteAsync(tx, "set transaction read only");
                break;
            case "closes its connection":
                await tx.Connection.CloseAsync(); // As Npgsql does over a value that it refuses half way.
                throw new InvalidOperationException("An error occurred while saving.");
            case "goes on after an error":
                try
                {
                    await ExecuteAsync(tx, "select 1 / 0");
                }
                catch (PostgresException)
                {
                    // It goes on.
                }

                break;
            case "never returns":
                await new TaskCompletionSource().Task;
                break;
            case "returns too much":
                return new string('x', FaultSilo.PayloadSizeMax);
        }

        return Committed;
    }

    private static async Task ExecuteAsync(TransactionContext tx, string sql)
    {
        await using var command = new NpgsqlCommand(sql, tx.Connection);
        await command.ExecuteNonQueryAsync(tx.Cancellation);
    }

    private sealed class Unspeakable : Exception
    {
        public override string Message => throw new NotSupportedException();
    }
}
