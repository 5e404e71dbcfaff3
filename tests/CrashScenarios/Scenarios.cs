using Actors.Wire;
using System.Collections.Frozen;
using Actors.Execution;
using Actors.Storage;

namespace Actors.CrashScenarios;

/// <summary>Every path that writes. A new path gets its scenario here: the matrix kills a process at each of its round trips.</summary>
internal static class Scenarios
{
    public static FrozenDictionary<string, Func<Func<Task<Scene>>, Task>> All { get; } = new Dictionary<string, Func<Func<Task<Scene>>,
    Task>>
    {
        ["steps"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Steps", 1);
            await scene.ExpectAsync("w", 5);
        }),
        ["failed attempts"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Retries", 7);
            await scene.ExpectAsync("w", 7);
        }),
        ["transactions"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Buys", "w");
            await scene.ExpectAsync("w", 2);
        }),
        ["messages"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Publishes", 3);
            await scene.ExpectAsync("w", 3);
        }),
        ["outbox delivery"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Publishes", 3);
            await scene.ExpectAsync("w", 3);
            await scene.UntilOutboxIsEmptyAsync();
        }),
        ["failed deliveries"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Refused", 3);
            await scene.ExpectAsync("w", 3);
            await scene.UntilOutboxIsEmptyAsync();
        }),
        ["redrive"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Refused", 3);
            await scene.ExpectAsync("w", 3);
            await scene.UntilOutboxIsEmptyAsync(); // Delivered or buried; an earlier process may have come further.
            scene.World.Mend();
            await scene.RedriveAsync();
            await scene.UntilOutboxIsEmptyAsync();
        }),
        ["sleep"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Sleeps", 4);
            await scene.ExpectAsync("w", 4);
        }),
        ["signals"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 2);
            await SignalAsync(scene, "one");
            await SignalAsync(scene, "two");
            await scene.ExpectAsync("w", "one two");
        }),
        ["inbox"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 2);
            await scene.ExecuteAsync(
                "select actors.send('default', 'w', 'm-one', 'Go', '[\"one\"]'), actors.send('default', 'w', 'm-two', 'Go', '[\"two\"]')");
            scene.Sweep();
            await scene.ExpectAsync("w", "one two");
        }),
        ["mail that cannot be read"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 1);
            await scene.ExecuteAsync(
                "select actors.send('default', 'w', 'm-unfit', 'Go', '[1, 2]'), actors.send('default', 'w', 'm-one', 'Go', '[\"one\"]')");
            scene.Sweep();
            await scene.ExpectAsync("w", "one");
            await scene.ExpectRowsAsync("actors.inbox where message_id = 'm-unfit'", 1);
        }),
        ["lost answer"] = open => InAsync(open, async scene =>
        {
            await Task.WhenAll(scene.StartAsync("w", "Buys", "w"), scene.StartAsync("v", "Steps", 1));
            await scene.ExpectAsync("w", 2);
            await scene.ExpectAsync("v", 5);
        }),
        ["migration"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Steps", 1);
            await scene.ExpectAsync("w", 5);
        }),
        ["online index"] = open => InAsync(open, async scene =>
        {
            await scene.ExpectRowsAsync("pg_index where indexrelid = to_regclass('actors.things_kind') and indisvalid and indisready", 1);
            await scene.ExpectRowsAsync("actors.migrations where number = 9000", 1);
        }),
        ["start in SQL"] = open => InAsync(open, async scene =>
        {
            await scene.ExecuteAsync("select actors.start_workflow('default', 'w', 'Steps', '1')");
            scene.Sweep();
            await scene.ExpectAsync("w", 5);
        }),
        ["bulk start in SQL"] = open => InAsync(open, async scene =>
        {
            await scene.ExecuteAsync("select actors.start_workflows('default', 'Steps', array['w', 'v'], array['1', '1']::json[])");
            scene.Sweep();
            await scene.ExpectAsync("w", 5);
            await scene.ExpectAsync("v", 5);
        }),
        ["retention"] = open => InAsync(open, async scene =>
        {
            await scene.ExecuteAsync("""
                insert into actors.runs (instance, workflow, created_at, ended_at, run, epoch, position, status, namespace, id, code)
                select -n, -n, now(), now() - interval '2 days', gen_random_uuid(), 1, 2, 1, 'default', 'old ' || n, (select code from actors.register_type('Steps')) from generate_series(1, 6) n on conflict do nothing;
                insert into actors.journal (instance, at, position, seq, kind, name)
                select -n, now(), p, p, 1, 'step' from generate_series(1, 6) n, generate_series(0, 2) p on conflict do nothing;
                """);
            await scene.RetainAsync();
            await scene.ExpectRowsAsync("actors.runs", 0);
            await scene.ExpectRowsAsync("actors.journal", 0);
        }),
        ["delayed start"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 2, delay: TimeSpan.FromMilliseconds(200));
            await SignalAsync(scene, "one");
            await scene.ExpectBeginAsync("w");
            await SignalAsync(scene, "two");
            await scene.ExpectAsync("w", "one two");
            await scene.ExpectRowsAsync("actors.inbox", 0);
        }),
        ["left alone for a later build"] = async open =>
        {
            await InAsync(open, async scene =>
            {
                await scene.StartAsync("w", "Waits", 2);
                await scene.RestAsync("w");
                await scene.ExecuteAsync("""
                    with run as (update actors.runs set position = 1 where id = 'w' and position = 0 and owner is null returning instance)
                    insert into actors.journal (instance, at, position, seq, kind, name) select instance, now(), 1, 0, 999, 'later' from run
                    """);
                await SignalAsync(scene, "one");
                await scene.Engine.Engine.WakeAsync(new WorkflowId("w"));
            });
            await InAsync(open, async scene =>
            {
                // As a build that knows it.
                await scene.ExecuteAsync("delete from actors.journal where kind = 999; update actors.waits set lacks = 0 where lacks = 999; "
                    + "update actors.runs w set position = 0 where position = 1 and not exists (select from actors.journal j where j.position = 1)");
                await scene.Engine.Engine.WakeAsync(new WorkflowId("w"));
                await SignalAsync(scene, "two");
                await scene.ExpectAsync("w", "one two");
            });
        },
        ["query"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 1);
            await scene.Engine.QueryAsync<int>("w", "Heard");
            await SignalAsync(scene, "one");
            await scene.ExpectAsync("w", "one");
            await scene.Engine.QueryAsync<int>("w", "Heard");
            await scene.Engine.StatusAsync("w");
        }),
        ["failure"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Fails", 0);
            try
            {
                await scene.ExpectAsync("w", 0);
            }
            catch (WorkflowFailedException error) when (error.ErrorMessage == "as it must")
            {
                return;
            }

            throw new InvalidOperationException("Workflow 'w' completed, and was to fail.");
        }),
        ["rest and wake"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 2);
            await scene.RestAsync("w");
            await SignalAsync(scene, "one");
            await scene.RestAsync("w");
            await SignalAsync(scene, "two");
            await scene.ExpectAsync("w", "one two");
        }),
        ["drain"] = async open =>
        {
            await InAsync(open, async scene =>
            {
                await Task.WhenAll(scene.StartAsync("w", "Waits", 1), scene.StartAsync("v", "Lingers", 5));
                await scene.Engine.Engine.DrainAsync(TimeSpan.FromSeconds(10));
                await SiloRegistry.RemoveAsync(scene.Engine.Engine.Context.Database);
            });
            await InAsync(open, async scene =>
            {
                scene.World.Mend();
                await scene.ExpectAsync("v", 5);
                await SignalAsync(scene, "one");
                await scene.ExpectAsync("w", "one");
            });
        },
        ["further run"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Steps", 1);
            await scene.ExpectAsync("w", 5);
            await scene.StartAsync("w", "Steps", 1, StartPolicy.StartNew);
            await scene.ExpectAsync("w", 5);
        }),
        ["further run by its request"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Steps", 1);
            await scene.ExpectAsync("w", 5);
            await scene.StartAsync("w", "Steps", 1, StartPolicy.StartNew, requestId: "r-2");
            await scene.ExpectAsync("w", 5);
            await scene.StartAsync("w", "Steps", 1, StartPolicy.StartNew, requestId: "r-2");
            await scene.ExpectRowsAsync("actors.runs", 2); // However often it was repeated.
        }),
        ["start with a message"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 1, signal: ("Go", "one", "m-one"));
            await scene.ExpectAsync("w", "one");
        }),
        ["start and message in SQL"] = open => InAsync(open, async scene =>
        {
            await scene.ExecuteAsync(
                "select actors.start_workflow('default', 'w', 'Waits', '1'); select actors.send('default', 'w', 'm-one', 'Go', "
                + "'[\"one\"]')");
            scene.Sweep();
            await scene.ExpectAsync("w", "one");
        }),
        ["message that code cannot read"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Receives", 1);
            await scene.SendAsync("w", "letters", "text", "m-unfit");
            await scene.SendAsync("w", "letters", 7, "m-fit");
            await scene.ExpectAsync("w", 7);
            await scene.ExpectRowsAsync("actors.inbox where message_id = 'm-unfit' and state = 1 and reason is not null", 1);
            await scene.ExpectRowsAsync("actors.journal where kind = 15", 1);
        }),
        ["taken over after two deaths"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Waits", 1);
            await scene.Engine.Engine.ReleaseAsync(new WorkflowId("w"));
            await scene.ExecuteAsync("update actors.runs set crash_count = 2 where id = 'w' and owner is null and status = 0");
            await SignalAsync(scene, "one");
            await scene.ExpectAsync("w", "one");
        }),
        ["set aside and resumed"] = open => InAsync(open, async scene =>
        {
            await scene.StartAsync("w", "Broken", 6);
            try
            {
                await scene.ExpectAsync("w", 6);
            }
            catch (WorkflowSetAsideException)
            {
                scene.World.Mend();
                await scene.Engine.SendAsync("w", "note", "for when it goes on", "m-note");
                await scene.Engine.Engine.ResumeAsync(new WorkflowId("w"), new ResumeCall($"{Guid.NewGuid()}"));
                await scene.ExpectAsync("w", 6);
            }

            // Now, or by an earlier process.
            await scene.ExpectRowsAsync("(select from actors.journal where kind = 13 limit 1) set_aside", 1);
        }),
        ["twenty at once"] = open => InAsync(open, scene => Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            await scene.StartAsync($"w{i}", i % 2 == 0 ? "Steps" : "Publishes", 1);
            await scene.ExpectAsync($"w{i}", i % 2 == 0 ? 5 : 1);
        }))),
    }.ToFrozenDictionary();

    private static async Task InAsync(Func<Task<Scene>> open, Func<Scene, Task> play)
    {
        await using var scene = await open();
        await play(scene);
    }

    private static async Task SignalAsync(Scene scene, string word)
    {
        try
        {
            await scene.Engine.SignalAsync("w", "Go", [word], $"m-{word}");
        }
        catch (WorkflowEndedException)
        {
            // An earlier process came that far.
        }
    }
}
